"""`sluice cohorts` finds the process that breaks the promised share, on a real Prometheus."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sluice.cli.clients.cohort_counts import fetch_splits
from sluice.cli.context import Context
from sluice.cli.errors import CliError
from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.prometheus.ephemeral_server import ephemeral_prometheus
from sluice.rehearsal.prometheus.range_query import open_client
from sluice.rehearsal.prometheus.remote_write import SeriesKey
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.review.cohort_split import SharedSpan, unlike_splits

pytestmark = pytest.mark.integration
USERS = load_plan(Path(__file__).parents[3] / "plans" / "phase4.yaml").metrics["users"]
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
TICKS = 120
USERS_A_MINUTE = {
    ("sound:8100", "treatment"): 1.0,
    ("sound:8100", "control"): 3.0,
    ("broken:8100", "treatment"): 0.0,
    ("broken:8100", "control"): 4.0,
}


def _users_of(instance: str, cohort: str) -> SeriesKey:
    return ("__name__", "router_users_new_total"), ("cohort", cohort), ("instance", instance)


async def test_the_process_that_gives_everybody_the_control_is_named() -> None:
    seconds = BEGIN.timestamp() + 60.0 * np.arange(TICKS + 1)
    series: dict[SeriesKey, Floats] = {
        _users_of(*part): rate * np.arange(TICKS + 1.0) for part, rate in USERS_A_MINUTE.items()
    }
    live = SharedSpan(
        step="ramp-25", share=0.25, since=BEGIN, until=BEGIN + timedelta(minutes=TICKS)
    )
    with ephemeral_prometheus(60) as url, open_client(url) as client:
        client.write(seconds, series)
        splits = await fetch_splits(Context({"PROMETHEUS_URL": url}), USERS, [live])
    by_part = {(split.by, split.name): split for split in splits}
    assert set(by_part) == {
        ("step", "ramp-25"),
        ("process", "broken:8100"),
        ("process", "sound:8100"),
        ("hour", "01-05 08:00"),
        ("hour", "01-05 09:00"),
    }
    sound = by_part["process", "sound:8100"]
    assert sound.treatment == pytest.approx(120, 0.05)
    assert sound.control == pytest.approx(360, 0.05)
    unlike = [split.name for split in unlike_splits(splits) if split.by == "process"]
    assert unlike == ["broken:8100"]


async def test_a_prometheus_that_does_not_answer_is_named() -> None:
    live = SharedSpan(step="s", share=0.5, since=BEGIN, until=BEGIN + timedelta(hours=1))
    with pytest.raises(CliError, match=r"127\.0\.0\.1:9 gives no users.*PROMETHEUS_URL"):
        await fetch_splits(Context({"PROMETHEUS_URL": "http://127.0.0.1:9"}), USERS, [live])
