"""The check that Temporal's and Prometheus' clocks agree: gates read Prometheus at Temporal's time."""

import time
from datetime import UTC, datetime, timedelta

from temporalio.service import RPCError

from sluice.cli.clients.prometheus import PrometheusUnreachableError, ask_prometheus
from sluice.cli.clients.server_time import fetch_server_time
from sluice.cli.context import Context
from sluice.cli.doctor.finding import BAD, GOOD, DoctorFinding
from sluice.cli.errors import CliError
from sluice.rollout.units import format_elapsed

DIFFERENCE_MAX = timedelta(seconds=5)
"""More of it delays each red flag by more than the time in which it must act."""


async def check_clocks(context: Context) -> list[DoctorFinding]:
    """Compare the two clocks. The clock of this machine is not part of it."""
    try:
        client = await context.connect_temporal()
        asked_at = time.monotonic()
        temporal = await fetch_server_time(client)
        prometheus = await _prometheus_time(context)
    except (CliError, RPCError, TimeoutError, PrometheusUnreachableError):
        return []  # the checks of the servers name the one that does not answer
    delay = timedelta(seconds=time.monotonic() - asked_at)
    return [compare_clocks(temporal, prometheus, delay)]


def compare_clocks(temporal: datetime, prometheus: datetime, delay: timedelta) -> DoctorFinding:
    """Return the finding about two times that were read within ``delay``, Temporal's first."""
    ahead = prometheus - temporal
    uncertain = min(max(ahead, timedelta(0)), delay)  # the second reading is the later one
    difference = ahead - uncertain
    if abs(difference) <= DIFFERENCE_MAX:
        return DoctorFinding("clocks", GOOD, "Temporal's and Prometheus' agree")
    order, effect = (
        ("behind", "each red flag looks at readings as old as that")
        if difference > timedelta(0)
        else ("ahead of", "each reading is too old, or looks so")
    )
    span = format_elapsed(abs(difference))
    text = f"Temporal's is {span} {order} Prometheus': {effect}; synchronize both servers by NTP"
    return DoctorFinding("clocks", BAD, text)


async def _prometheus_time(context: Context) -> datetime:
    (_, seconds) = await ask_prometheus(context, "time()")
    return datetime.fromtimestamp(float(seconds), UTC)
