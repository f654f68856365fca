"""The floor as JSON text: `{"version": 12, "killed": ["name"]}`."""

from __future__ import annotations

import json

from router.flags.errors import FlagStoreError
from router.flags.store import Floor


def dump_floor(floor: Floor) -> str:
    """Return the JSON text; the version comes first, as in the document."""
    body = {"version": floor.version, "killed": sorted(floor.killed)}
    return json.dumps(body, separators=(",", ":"))


def load_floor(text: str | bytes | None) -> Floor:
    """Parse a floor; a missing one is version 0. Raise FlagStoreError when it is not readable."""
    if text is None:
        return Floor()
    try:
        body = json.loads(text)
        return Floor(int(body["version"]), frozenset(str(name) for name in body["killed"]))
    except (ValueError, TypeError, KeyError):
        raise FlagStoreError(f"the key flags:floor holds {text!r}: delete it") from None
