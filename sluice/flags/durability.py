"""Mark the parts of a stored document that a changed server may have lost.

A Redis that restarts without an append-only file comes back with an old copy, and a promoted
replica may lack the last writes. Versions alone do not show the loss, since perhaps nobody read
the lost ones. Each flag is therefore stamped with the server run it was last asserted on; on another run
it is unconfirmed (served as stale) until it is asserted again. A server that keeps its writes
across restarts (append-only file on, never promoted) keeps its flags confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluice.flags.document import FlagDocument, FlagState, RouterPhases


@dataclass(frozen=True)
class ServerRun:
    """The run of the server that answered, and its durability over a restart."""

    run_id: str = ""
    is_durable: bool = False

    def retains_writes(self, run_id: str) -> bool:
        """Return True if a flag asserted on the run `run_id` is certainly still the latest."""
        return self.is_durable or run_id == self.run_id


def parse_server_run(info: Mapping[str, object]) -> ServerRun:
    """Read redis-py's parsed INFO (sections server, persistence, replication)."""
    promoted = str(info.get("second_repl_offset", "-1")) != "-1"
    return ServerRun(
        run_id=str(info.get("run_id", "")),
        is_durable=str(info.get("aof_enabled", "0")) == "1" and not promoted,
    )


def mark_doubtful(document: FlagDocument, server_run: ServerRun) -> FlagDocument:
    """Return the document with doubtful flags unconfirmed and doubtful phases off."""
    doubtful = {
        name: flag.model_copy(update={"confirmed": False})
        for name, flag in document.flags.items()
        if flag.confirmed and not server_run.retains_writes(flag.asserted_on)
    }
    phases = (
        document.phases
        if server_run.retains_writes(document.phases_asserted_on)
        else RouterPhases()
    )
    if not doubtful and phases == document.phases:
        return document
    return document.model_copy(update={"flags": {**document.flags, **doubtful}, "phases": phases})


def mark_unconfirmed(document: FlagDocument, killed: frozenset[str]) -> FlagDocument:
    """Return the document after a known loss: unconfirmed, with known kill latches set again."""
    names = {**{name: FlagState(name=name) for name in killed}, **document.flags}
    flags = {
        name: flag.model_copy(
            update={"confirmed": False}
            | ({"killed": True, "rollout_percentage": 0.0} if name in killed else {})
        )
        for name, flag in names.items()
    }
    return document.model_copy(update={"flags": flags, "phases": RouterPhases()})
