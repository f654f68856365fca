"""The floor as JSON text: `{"version": 12, "killed": ["name"]}`."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sluice.flags.errors import FlagStoreError


def dump_watermark(watermark: VersionWatermark) -> str:
    """Return the JSON text; the version comes first, as in the document."""
    body = {"version": watermark.version, "killed": sorted(watermark.killed)}
    return json.dumps(body, separators=(",", ":"))


def load_watermark(text: str | bytes | None) -> VersionWatermark:
    """Parse a floor; a missing one is version 0. Raise FlagStoreError when it is not readable."""
    if text is None:
        return VersionWatermark()
    try:
        body = json.loads(text)
        return VersionWatermark(
            int(body["version"]), frozenset(str(name) for name in body["killed"])
        )
    except (ValueError, TypeError, KeyError):
        raise FlagStoreError(f"the key flags:watermark holds {text!r}: delete it") from None


@dataclass(frozen=True)
class VersionWatermark:
    """The newest version any reader has seen, left by one that found the store holding less.

    A document below the floor is an old copy: the store lost writes (a restart from an old
    snapshot, a failover, a flush). `killed` names the kill latches that reader held.
    """

    version: int = 0
    killed: frozenset[str] = frozenset()
