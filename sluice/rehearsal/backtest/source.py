"""The source of a backtest: a running Prometheus, or an ephemeral one over another's files."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from activities.adapters.prometheus_credentials import PrometheusCredentials
from sluice.rehearsal.backtest.history import PrometheusHistory
from sluice.rehearsal.errors import NothingRecordedError
from sluice.rehearsal.prometheus.ephemeral_server import ephemeral_prometheus
from sluice.rehearsal.prometheus.range_query import PrometheusClient, open_client
from sluice.rollout.errors import QuantityError
from sluice.rollout.units import parse_duration

TIMEOUT_SECONDS = 150.0
"""Prometheus' own query timeout is two minutes."""


def connect_server(
    url: str, credentials: PrometheusCredentials
) -> AbstractContextManager[PrometheusClient]:
    """Yield a client of the Prometheus at ``url``."""
    return open_client(url, TIMEOUT_SECONDS, credentials)


@contextmanager
def open_tsdb(folder: Path, tick_seconds: float) -> Iterator[PrometheusClient]:
    """Yield a client over the files of a Prometheus; they are linked and never written.

    Raises:
        NothingRecordedError: the folder is not Prometheus' data.
        MissingProgramError, PrometheusFailedError: see ``ephemeral_prometheus``.
    """
    if not (folder / "wal").is_dir() and not tsdb_block_spans(folder):
        raise NothingRecordedError(
            f"{folder} does not hold Prometheus data; give the folder of its --storage.tsdb.path"
        )
    with ephemeral_prometheus(tick_seconds, folder) as url, open_client(url) as client:
        yield client


def tsdb_block_spans(folder: Path) -> list[tuple[datetime, datetime]]:
    """Return the time spans of a TSDB's blocks, in order."""
    spans = []
    for meta in folder.glob("*/meta.json"):
        block = json.loads(meta.read_text(encoding="utf-8"))
        span = (block["minTime"] / 1000, block["maxTime"] / 1000)
        spans.append((datetime.fromtimestamp(span[0], UTC), datetime.fromtimestamp(span[1], UTC)))
    return sorted(spans)


def require_data(history: PrometheusHistory, folder: Path | None, now: datetime) -> None:
    """Raise NothingRecordedError, with the reason, when no metrics were recorded in that time."""
    if history.has_data():
        return
    span = f"from {history.begin:%Y-%m-%d %H:%M} to {history.end:%Y-%m-%d %H:%M} UTC"
    reason = "it lies in the future" if history.begin > now else ""
    reason = reason or (_describe_blocks(folder) if folder else _describe_retention(history, now))
    raise NothingRecordedError(f"Nothing was recorded {span}: {reason}")


def _describe_blocks(folder: Path) -> str:
    blocks = tsdb_block_spans(folder)
    if not blocks:
        return f"{folder} has no blocks, and its write-ahead log does not cover it"
    first, last = blocks[0][0], max(end for _, end in blocks)
    return f"the blocks of {folder} hold {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _describe_retention(history: PrometheusHistory, now: datetime) -> str:
    info = history.client.get_metadata("status/runtimeinfo") or {}
    retention = str(info.get("storageRetention", "")).partition(" ")[0]
    try:
        retention_time = parse_duration(retention)
    except QuantityError:
        retention_time = timedelta(0)
    if retention_time and history.end < now - retention_time:
        return (
            f"Prometheus keeps {retention} (--storage.tsdb.retention.time), so nothing before "
            f"{now - retention_time:%Y-%m-%d %H:%M}; older blocks may be in a backup: --tsdb reads them"
        )
    return "Prometheus has no series in that time; check --prometheus"
