"""The flags as one process serves them: the body of its `GET /flags`."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict

from sluice.flags.document import FlagState, OnStale
from sluice.flags.view import FlagView


class ServedFlag(BaseModel):
    """One flag as a process serves it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollout_percentage: float
    whitelist: frozenset[str] = frozenset()
    killed: bool = False
    on_stale: OnStale = "off"


class FlagsResponse(BaseModel):
    """The parsed body of a process's `GET /flags`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    process_id: str
    version: int
    lease_age_seconds: float | None
    stale: bool
    phases: dict[str, bool]
    flags: dict[str, ServedFlag]
    unknown_flags: dict[str, float] = {}

    def asks(self, flag: str, within_seconds: float) -> bool:
        """Return True if the process asked lately for a flag that is not there."""
        return self.unknown_flags.get(flag, math.inf) <= within_seconds


def flags_response(process_id: str, view: FlagView) -> dict[str, Any]:
    """Return the JSON body of `GET /flags` for this process (docs/contracts.md, 'HTTP')."""
    snapshot = view.snapshot()
    age = view.lease_age_seconds()
    return {
        "process_id": process_id,
        "version": snapshot.version,
        "lease_age_seconds": age if math.isfinite(age) else None,
        "stale": view.stale,
        "phases": dict(view.phases()),
        "flags": {name: _served_flag(flag) for name, flag in snapshot.flags.items()},
        "unknown_flags": view.unknown_flags(),
    }


def _served_flag(flag: FlagState) -> dict[str, Any]:
    # An unconfirmed flag is served as stale, so it exposes nobody.
    exposes = flag.confirmed or flag.on_stale == "hold"
    return {
        "rollout_percentage": flag.rollout_percentage if exposes else 0.0,
        "whitelist": sorted(flag.whitelist) if exposes else [],
        "killed": flag.killed,
        "on_stale": flag.on_stale,
    }
