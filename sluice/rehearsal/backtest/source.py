"""Where a backtest reads: a Prometheus that runs, or one of our own over the files of another."""

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
"""Prometheus itself gives up after two minutes."""


def connect_server(
    url: str, credentials: PrometheusCredentials
) -> AbstractContextManager[PrometheusClient]:
    """Read from the Prometheus at ``url``."""
    return open_client(url, TIMEOUT_SECONDS, credentials)


@contextmanager
def open_tsdb(folder: Path, tick_seconds: float) -> Iterator[PrometheusClient]:
    """Read the files of a Prometheus; they are linked, and nothing is written to them.

    Raises:
        NothingRecordedError: the folder isn't Prometheus' data.
        MissingProgramError, PrometheusFailedError: see ``own_prometheus``.
    """
    if not (folder / "wal").is_dir() and not tsdb_block_spans(folder):
        raise NothingRecordedError(
            f"{folder} holds no data of a Prometheus; give the folder of its --storage.tsdb.path"
        )
    with ephemeral_prometheus(tick_seconds, folder) as url, open_client(url) as ranges:
        yield ranges


def tsdb_block_spans(folder: Path) -> list[tuple[datetime, datetime]]:
    """The times that the blocks of a TSDB hold, in order."""
    found = []
    for meta in folder.glob("*/meta.json"):
        told = json.loads(meta.read_text(encoding="utf-8"))
        span = (told["minTime"] / 1000, told["maxTime"] / 1000)
        found.append((datetime.fromtimestamp(span[0], UTC), datetime.fromtimestamp(span[1], UTC)))
    return sorted(found)


def require_data(history: PrometheusHistory, folder: Path | None, now: datetime) -> None:
    """Raise NothingRecordedError, with the reason, when nothing at all was recorded in that time."""
    if history.has_data():
        return
    span = f"from {history.begin:%Y-%m-%d %H:%M} to {history.end:%Y-%m-%d %H:%M} UTC"
    why = "it lies in the future" if history.begin > now else ""
    why = why or (_describe_blocks(folder) if folder else _describe_retention(history, now))
    raise NothingRecordedError(f"Nothing was recorded {span}: {why}")


def _describe_blocks(folder: Path) -> str:
    blocks = tsdb_block_spans(folder)
    if not blocks:
        return f"{folder} has no blocks, and its write-ahead log holds nothing of it"
    first, last = blocks[0][0], max(end for _, end in blocks)
    return f"the blocks of {folder} hold {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _describe_retention(recorded: PrometheusHistory, now: datetime) -> str:
    told = recorded.client.get_metadata("status/runtimeinfo") or {}
    retention = str(told.get("storageRetention", "")).partition(" ")[0]
    try:
        kept = parse_duration(retention)
    except QuantityError:
        kept = timedelta(0)
    if kept and recorded.end < now - kept:
        return (
            f"Prometheus keeps {retention} (--storage.tsdb.retention.time), so nothing before "
            f"{now - kept:%Y-%m-%d %H:%M}; older blocks may be in a backup: --tsdb reads them"
        )
    return "Prometheus has no series at all there; is it the right one?"
