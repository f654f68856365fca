"""Running rollouts survive a new version: their histories replay on today's code."""

import json

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from sluice.worker.payload_converter import DATA_CONVERTER
from tests.workflows.histories import FOLDER, SCENARIOS, recorded_commands
from workflows.rollout_workflow import RolloutWorkflow


def saved(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(name, (FOLDER / f"{name}.json").read_text())


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_saved_history_replays(name: str) -> None:
    """A refactoring that would strand a live rollout fails here, not on a customer's worker."""
    replayer = Replayer(workflows=[RolloutWorkflow], data_converter=DATA_CONVERTER)
    await replayer.replay_workflow(saved(name))


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_saved_commands_are_those_of_the_history(name: str) -> None:
    """The list beside each history is what reviewers read: steps, waits and their lengths."""
    assert recorded_commands(saved(name)) == json.loads(
        (FOLDER / f"{name}.commands.json").read_text()
    )
