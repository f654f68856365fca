"""Which parts of a stored document may be believed after the server behind it changed.

A Redis that restarts without an append-only file comes back with an old copy, and a promoted
replica may lack the last writes. Nobody need have seen what was lost, so versions alone cannot
tell. Each flag is therefore stamped with the server run it was last asserted on; on another run
it is unconfirmed (served as stale) until it is asserted again. A server that keeps its writes
across restarts (append-only file on, never promoted) is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from router.flags.model import FlagDocument, FlagState, Phases


@dataclass(frozen=True)
class Server:
    """The run of the server that answered, and whether it keeps writes over a restart."""

    run_id: str = ""
    keeps_writes: bool = False

    def vouches_for(self, run_id: str) -> bool:
        """Whether what was asserted on the run `run_id` is surely still the latest."""
        return self.keeps_writes or run_id == self.run_id


def server_of(info: Mapping[str, object]) -> Server:
    """Read redis-py's parsed INFO (sections server, persistence, replication)."""
    promoted = str(info.get("second_repl_offset", "-1")) != "-1"
    return Server(
        run_id=str(info.get("run_id", "")),
        keeps_writes=str(info.get("aof_enabled", "0")) == "1" and not promoted,
    )


def trusted(document: FlagDocument, server: Server) -> FlagDocument:
    """Return the document with what the server cannot vouch for unconfirmed, and phases off."""
    doubtful = {
        name: flag.model_copy(update={"confirmed": False})
        for name, flag in document.flags.items()
        if flag.confirmed and not server.vouches_for(flag.asserted_on)
    }
    phases = document.phases if server.vouches_for(document.phases_asserted_on) else Phases()
    if not doubtful and phases == document.phases:
        return document
    return document.model_copy(update={"flags": {**document.flags, **doubtful}, "phases": phases})


def distrusted(document: FlagDocument, killed: frozenset[str]) -> FlagDocument:
    """Return the document after a known loss: nothing confirmed, known kill latches set again."""
    names = {**{name: FlagState(name=name) for name in killed}, **document.flags}
    flags = {
        name: flag.model_copy(
            update={"confirmed": False}
            | ({"killed": True, "rollout_percentage": 0.0} if name in killed else {})
        )
        for name, flag in names.items()
    }
    return document.model_copy(update={"flags": flags, "phases": Phases()})
