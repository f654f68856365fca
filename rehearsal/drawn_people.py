"""What people say to a simulated rollout: any command, sensible or not."""

from random import Random

from rehearsal.drawn import likely
from rollout.commands import Command, Verb
from rollout.state import State

PEOPLE = ("alice", "bob", "carol")
USUAL = {
    "Progressing": [Verb.APPROVE] * 6 + [Verb.ATTEST] * 4 + [Verb.PROMOTE, Verb.PAUSE],
    "Paused": [Verb.RESUME] * 4,
    "Degraded": [Verb.RETRY] * 6,
}


def drawn_command(rng: Random, state: State) -> tuple[Verb, Command]:
    """A verb, most often one that fits, by somebody, with the readings that are there to be seen."""
    usual = USUAL.get(state.status, [])
    verb = rng.choice(usual if usual and likely(rng, 0.8) else list(Verb))
    shown = state.evidence.id if state.evidence else ""
    more: dict[str, object] = {}
    if verb is Verb.APPROVE:
        more["evidence"] = shown if likely(rng, 0.9) else rng.choice(["", "old/1"])
    elif verb is Verb.ATTEST:
        more["item"] = "trained"
    elif verb is Verb.ROLLBACK:
        more = rng.choice(
            [{}, {"emergency": True}, {"graceful": True}, {"code": True, "confirmed": True}]
        )
    return verb, Command.model_validate({"actor": rng.choice(PEOPLE), "reason": "drawn", **more})
