"""From the state of a rollout to what its statistical gates need, and back; and the budget of α."""

from collections.abc import Iterator, Mapping
from typing import Literal

from rollout.gate import Gate, GateKind
from rollout.plan import RolloutPlan, Step
from rollout.state import State
from rollout.stats.budget import AlphaBudget, Claim
from rollout.track import Exposure, Track

Place = Literal["gates", "red_flags"]


def statistical(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if gate.kind is GateKind.STATISTICAL)


def claims(plan: RolloutPlan) -> Iterator[tuple[str, Gate]]:
    """Every statistical gate once, by the key of its track: one in many steps goes on through all."""
    seen: set[str] = set()
    for place, gate in plan.rules():
        key = f"{place[2]}/{gate.name}"
        if gate.kind is GateKind.STATISTICAL and key not in seen:
            seen.add(key)
            yield key, gate


def budget(plan: RolloutPlan, tracks: Mapping[str, Track] | None = None) -> AlphaBudget | None:
    """How the plan's α is split, and which parts are spent; None without statistical gates.

    Checks and the watch gather evidence each for itself, so each has a part of its own.
    """
    parts = tuple(
        Claim(name=key, weight=gate.weight, spent=bool((tracks or {}).get(key, Track()).blocks))
        for key, gate in claims(plan)
    )
    return AlphaBudget(total=plan.alpha, claims=parts) if parts else None


def exposure(state: State, place: Place, step: Step) -> Exposure | None:
    """What the statistical gates of the step need; None when there are none, or nothing is live."""
    gates = statistical(getattr(step, place))
    split = budget(state.plan)
    if not gates or split is None or state.exposed_since is None:
        return None
    keys = {gate.name: f"{place}/{gate.name}" for gate in gates}
    return Exposure(
        since=state.exposed_since,
        share=state.percentage / 100,
        alphas={name: split.alpha(key) for name, key in keys.items()},
        tracks={name: state.tracks[key] for name, key in keys.items() if key in state.tracks},
    )


def keep(state: State, place: Place, tracks: Mapping[str, Track]) -> None:
    """Put the tracks that a check or a watch came back with into the state."""
    state.tracks = {**state.tracks, **{f"{place}/{name}": track for name, track in tracks.items()}}


def spent(state: State) -> str:
    """For ``status``: how much of the budget is spent, by which gates; empty without any."""
    split = budget(state.plan, state.tracks)
    return split.text() if split else ""
