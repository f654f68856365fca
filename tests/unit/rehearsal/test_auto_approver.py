"""The errors of the test server after which a rehearsal begins again."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as WorkflowTimeoutError

from sluice.rehearsal.runner.auto_approver import STALLED, is_stall_error, is_stalled
from sluice.rollout.units import parse_duration
from tests.unit.rehearsal.test_recorder_client import AT


@pytest.mark.parametrize(("late", "is_lost"), [("1m", False), ("1h", False), ("2h", True)])
def test_a_rollout_that_sleeps_past_its_time_is_lost(late: str, is_lost: bool) -> None:
    """The test server lost the rollout; without this, the auto-approver polls without end."""
    assert is_stalled(AT, AT + parse_duration(late)) is is_lost
    assert not is_stalled(None, AT)


@pytest.mark.parametrize(("kind", "is_lost"), [(STALLED, True), ("ValueError", False)])
def test_only_a_lost_rollout_begins_again(kind: str, is_lost: bool) -> None:
    """Without this, a mistake of ours is retried three times and reported as the server's."""
    assert is_stall_error(WorkflowFailureError(cause=ApplicationError("why", type=kind))) is is_lost
    assert not is_stall_error(WorkflowFailureError(cause=TimeoutError()))


def test_a_lost_auto_approver_begins_again() -> None:
    """Without this, `sluice rehearse` ends with a traceback when the server skips ten years."""
    late = WorkflowTimeoutError(
        "Workflow timed out", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]
    )
    assert is_stall_error(WorkflowFailureError(cause=late))
    activity = ActivityError(
        "failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="advance_rollout",
        activity_id="1",
        retry_state=None,
    )
    activity.__cause__ = late
    assert not is_stall_error(WorkflowFailureError(cause=activity))
