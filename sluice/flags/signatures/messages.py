"""The bytes that a signature covers: one flag, or the phases, of one environment."""

from __future__ import annotations

import json

from sluice.flags.document import FlagDocument, FlagState


def flag_message(flag: FlagState, environment: str) -> bytes:
    """Return what signs a flag: every field, with the version of its last write."""
    body = flag.model_dump_json(exclude={"signature"})
    return f"sluice flag\n{environment}\n{body}".encode()


def phases_message(document: FlagDocument, environment: str) -> bytes:
    """Return what signs the router's phases, with the version of their last write."""
    values = [document.phases_version, document.phases_flag, document.phases.model_dump()]
    return f"sluice phases\n{environment}\n{json.dumps(values, sort_keys=True)}".encode()
