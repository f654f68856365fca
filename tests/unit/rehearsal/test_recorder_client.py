"""The line between the workflow of a rehearsal and the process that records."""

import asyncio
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe

import numpy as np
import pytest

from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.errors import PrometheusFailedError, RecorderFailedError
from sluice.rehearsal.prometheus.remote_write import SeriesKey, encode_write_requests
from sluice.rehearsal.recorder.client import RecorderClient
from sluice.rehearsal.recorder.requests import FetchFirstFault, FetchReadings
from sluice.rehearsal.ticks import locate_tick

AT = datetime(2024, 1, 1, 8, tzinfo=UTC)


async def test_a_recorder_that_is_gone_ends_the_rehearsal() -> None:
    """Without this, its activities retry without end, in skipped time."""
    ours, theirs = Pipe()
    theirs.close()
    recording = RecorderClient(ours)
    with pytest.raises(RecorderFailedError):
        recording.call(FetchFirstFault())
    with pytest.raises(RecorderFailedError):
        await asyncio.wait_for(recording.wait_for_failure(), 2)


def test_what_the_recorder_could_not_do_is_raised_where_it_was_asked() -> None:
    ours, theirs = Pipe()
    theirs.send((PrometheusFailedError("it refuses the query"), None))
    with pytest.raises(PrometheusFailedError, match="it refuses the query"):
        RecorderClient(ours).call(FetchReadings("up", AT))


@pytest.mark.parametrize(
    ("minutes", "place"),
    [(-1, (0, -1)), (0, (0, 0)), (59.99, (0, 59)), (60, (1, 0)), (90, (1, 30))],
)
def test_a_moment_belongs_to_the_last_step_entered_before_it(
    minutes: float, place: tuple[int, int]
) -> None:
    entered = [AT, AT + timedelta(hours=1)]
    assert locate_tick(entered, AT + timedelta(minutes=minutes), 60.0) == place


def test_many_writes_carry_what_one_does() -> None:
    """In pieces or at once, every sample of every series is sent, in order."""
    seconds, values = np.arange(5.0) + 1e9, np.arange(5.0)
    series: dict[SeriesKey, Floats] = {(("__name__", "a"),): values, (("__name__", "b"),): -values}
    whole = b"".join(encode_write_requests(seconds, series, 5))
    parts = list(encode_write_requests(seconds, series, 2))
    assert len(parts) == 3
    for at, value in zip(seconds, values, strict=True):
        sample = encode_write_requests(np.array([at]), {(("__name__", "a"),): np.array([value])}, 1)
        message = next(sample)[-18:]
        assert message in whole
        assert sum(message in part for part in parts) == 1
