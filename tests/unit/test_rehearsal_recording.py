"""The line between the workflow of a rehearsal and the process that records."""

import asyncio
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe

import numpy as np
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from rehearsal.arrays import Floats
from rehearsal.errors import PrometheusFailedError, RecorderFailedError
from rehearsal.pace import placed_at
from rehearsal.person import LOST, lost, says_lost
from rehearsal.recording import Recording
from rehearsal.remote_write import Key, write_requests
from rollout.quantity import parse_duration

AT = datetime(2024, 1, 1, 8, tzinfo=UTC)


async def test_a_recorder_that_is_gone_ends_the_rehearsal() -> None:
    """Else its activities would be tried for ever, in skipped time."""
    ours, theirs = Pipe()
    theirs.close()
    recording = Recording(ours)
    with pytest.raises(RecorderFailedError):
        recording.ask("fault_begins")
    with pytest.raises(RecorderFailedError):
        await asyncio.wait_for(recording.lost(), 2)


def test_what_the_recorder_could_not_do_is_raised_where_it_was_asked() -> None:
    ours, theirs = Pipe()
    theirs.send((False, PrometheusFailedError("it refuses the query")))
    with pytest.raises(PrometheusFailedError, match="it refuses the query"):
        Recording(ours).ask("readings", "up", AT)


@pytest.mark.parametrize(
    ("minutes", "place"),
    [(-1, (0, -1)), (0, (0, 0)), (59.99, (0, 59)), (60, (1, 0)), (90, (1, 30))],
)
def test_a_moment_belongs_to_the_last_step_entered_before_it(
    minutes: float, place: tuple[int, int]
) -> None:
    entered = [AT, AT + timedelta(hours=1)]
    assert placed_at(entered, AT + timedelta(minutes=minutes), 60.0) == place


def test_many_writes_carry_what_one_does() -> None:
    """In pieces or at once, every sample of every series is sent, in order."""
    seconds, values = np.arange(5.0) + 1e9, np.arange(5.0)
    series: dict[Key, Floats] = {(("__name__", "a"),): values, (("__name__", "b"),): -values}
    whole = b"".join(write_requests(seconds, series, 5))
    parts = list(write_requests(seconds, series, 2))
    assert len(parts) == 3
    for at, value in zip(seconds, values, strict=True):
        sample = write_requests(np.array([at]), {(("__name__", "a"),): np.array([value])}, 1)
        message = next(sample)[-18:]
        assert message in whole
        assert sum(message in part for part in parts) == 1


@pytest.mark.parametrize(("late", "is_lost"), [("1m", False), ("1h", False), ("2h", True)])
def test_a_rollout_that_sleeps_past_its_time_is_lost(late: str, is_lost: bool) -> None:
    """The test server forgot it; else the rehearsing person looks at it every minute for ever."""
    assert lost(AT, AT + parse_duration(late)) is is_lost
    assert not lost(None, AT)


@pytest.mark.parametrize(("kind", "is_lost"), [(LOST, True), ("ValueError", False)])
def test_only_a_lost_rollout_begins_again(kind: str, is_lost: bool) -> None:
    """Else a mistake of ours would be tried three times, and told as one of the server."""
    assert says_lost(WorkflowFailureError(cause=ApplicationError("why", type=kind))) is is_lost
    assert not says_lost(WorkflowFailureError(cause=TimeoutError()))
