"""Versions of the worker read each other's state, and people's words are still taken exactly."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload

from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.state import State
from sluice.worker.payload_converter import DATA_CONVERTER
from tests.workflows.harness import short_plan

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATE = State(rollout_id="r/1", run_id="1", plan=short_plan(), started_at=START)


def payload(document: object) -> Payload:
    metadata = {"encoding": b"json/plain"}
    return Payload(metadata=metadata, data=json.dumps(document).encode())


def with_unknown_fields(value: object) -> object:
    """Every object in the document gets a field that this version doesn't know."""
    if isinstance(value, dict):
        return {**{k: with_unknown_fields(v) for k, v in value.items()}, "invented_later": 1}
    return [with_unknown_fields(one) for one in value] if isinstance(value, list) else value


async def test_a_state_goes_through_unchanged() -> None:
    assert (await DATA_CONVERTER.decode(await DATA_CONVERTER.encode([STATE]), [State])) == [STATE]


async def test_a_state_of_a_later_version_is_read() -> None:
    """After an upgrade was taken back: metrics, baselines and the timeline too."""
    document = STATE.model_dump(mode="json")
    parts = ("clock", "entry", "live", "checks", "red_flags", "outbox", "decisions")
    nested = {name: {**document[name], "invented_later": 1} for name in parts}
    later = {**document, **nested, "invented_later": {"deep": 1}}
    plan = document["plan"]
    later["plan"] = {**plan, "steps": [with_unknown_fields(s) for s in plan["steps"]]}
    for step in later["plan"]["steps"]:
        for part in ("phases", "approval"):
            if step.get(part):
                step[part] = {**step[part], "invented_later": True}
    assert await DATA_CONVERTER.decode([payload(later)], [State]) == [STATE]


async def test_a_state_without_a_later_field_is_read() -> None:
    """After an upgrade: what the older version didn't have has its default."""
    document = STATE.model_dump(mode="json")
    del document["recorded_until"]
    assert await DATA_CONVERTER.decode([payload(document)], [State]) == [STATE]


async def test_a_misspelt_command_is_refused() -> None:
    words = {"actor": "ann", "emergncy": True}
    with pytest.raises(ValidationError, match="emergncy"):
        await DATA_CONVERTER.decode([payload(words)], [Command])
