"""The doctor judges by the servers' clocks, never by that of the machine it runs on."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from sluice.cli.clients.server_time import fetch_server_time
from sluice.cli.doctor.clocks import compare_clocks
from tests.source_tree import ROOT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK, SLOW = timedelta(seconds=0.1), timedelta(seconds=20)


@pytest.mark.integration
async def test_temporals_time_is_read_from_its_server(temporal_address: str) -> None:
    client = await Client.connect(temporal_address)
    before = datetime.now(UTC)
    seen_at = await fetch_server_time(client)
    assert before - timedelta(seconds=1) < seen_at < datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("prometheus_ahead", "delay", "words"),
    [
        (0.0, QUICK, ""),
        (4.0, QUICK, ""),
        (300.0, QUICK, "behind Prometheus'"),
        (-300.0, QUICK, "ahead of Prometheus'"),
        (18.0, SLOW, ""),  # as much may have passed between the two readings
        (-18.0, SLOW, "ahead of Prometheus'"),
    ],
)
def test_two_clocks_that_differ_are_a_finding(
    prometheus_ahead: float, delay: timedelta, words: str
) -> None:
    """With Temporal 300 s behind, each red flag looked at readings that were 300 s old."""
    finding = compare_clocks(NOW, NOW + timedelta(seconds=prometheus_ahead), delay)
    assert (words in finding.message) if words else finding.level == "good"


def test_no_check_of_the_doctor_reads_this_machines_wall_clock() -> None:
    sources = (ROOT / "sluice/cli/doctor").rglob("*.py")
    assert not [path.name for path in sources if "datetime.now" in path.read_text("utf-8")]
