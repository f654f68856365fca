"""The Temporal worker: reads the settings, puts drivers behind the ports, and polls until a signal."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import httpx
from temporalio.worker import Worker

from activities.adapters.environment_probe import LiveEnvironmentProbe
from activities.adapters.git_revert import GitRepository
from activities.adapters.postgres_ledger import PostgresLedger
from activities.adapters.prometheus import PrometheusMetrics
from activities.adapters.prometheus_credentials import PrometheusCredentials
from activities.adapters.redis_flags import RedisFlags
from activities.adapters.report_archive import FileArchive
from activities.check import CheckActivities
from activities.checklist import ChecklistActivities
from activities.code_revert import CodeRevertActivities
from activities.contract.errors import FlagRefusedError, FlagsUnreachableError
from activities.flags import FlagActivities
from activities.identity import IdentityActivities
from activities.measuring.query_batch import SharedQueries
from activities.notify import NoticeActivities
from activities.report import ReportActivities
from activities.timeline import TimelineActivities
from activities.watch import WatchActivities
from sluice.flags.errors import InvalidFlagError
from sluice.flags.signatures import FlagKeyError
from sluice.worker.encryption import PayloadKeyError
from sluice.worker.health import serve_health
from sluice.worker.notice_channels import configured_channels
from sluice.worker.options import worker_options
from sluice.worker.settings import WorkerSettings, WorkerSettingsError
from sluice.worker.temporal_client import TemporalUnreachableError, open_client
from workflows.activity_options import TASK_QUEUE
from workflows.notice_workflow import NoticeWorkflow
from workflows.rollout_workflow import RolloutWorkflow
from workflows.worker_channels_workflow import WorkerChannelsWorkflow

STARTUP_ERRORS = (
    WorkerSettingsError,
    PayloadKeyError,
    TemporalUnreachableError,
    InvalidFlagError,
)


async def main(settings: WorkerSettings) -> None:
    """Connect, work, and drain on SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    metrics = SharedQueries(_open_metrics(settings.prometheus_url))
    flags, ledger = (
        _open_flags(settings.redis_url),
        PostgresLedger(settings.ledger_dsn or settings.postgres_dsn),
    )
    site = LiveEnvironmentProbe.from_environment(os.environ, flags, metrics, ledger)
    keyring = Path(settings.keyring) if settings.keyring else None
    identity = IdentityActivities(keyring, settings.approvals_min, ledger)
    code = GitRepository(
        settings.code_repository, settings.deploy_hook, os.environ, settings.hook_variables
    )
    await _warn_without_redis(flags)
    async with open_client(settings, stop) as client, httpx.AsyncClient() as http:
        notices = NoticeActivities(
            configured_channels(http, settings), settings.runbooks_url, settings.console_url
        )
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[RolloutWorkflow, NoticeWorkflow, WorkerChannelsWorkflow],
            activities=[
                FlagActivities(flags).apply,
                FlagActivities(flags).confirm,
                CheckActivities(metrics, ledger).check,
                WatchActivities(metrics, flags).watch,
                ChecklistActivities(metrics, site).check_items,
                notices.deliver,
                notices.list_channels,
                CodeRevertActivities(code).revert,
                identity.verify,
                ReportActivities(ledger, FileArchive(settings.report_root)).write_report,
                TimelineActivities(ledger).record_end,
            ],
            **worker_options(settings),
        )
        async with worker, serve_health(settings.health_address, client, TASK_QUEUE):
            logging.getLogger("sluice").info("worker ready on task queue %s", TASK_QUEUE)
            await stop.wait()
    await ledger.close()
    await site.close()
    await flags.close()


async def _warn_without_redis(flags: RedisFlags) -> None:
    """Log that no flag can be written; the worker goes on, and each write tries again."""
    try:
        await flags.read("default", "none")
    except (FlagsUnreachableError, FlagRefusedError) as error:
        logging.getLogger("sluice").warning("REDIS_URL: flags can't be written: %s", error)


def _open_metrics(prometheus_url: str) -> PrometheusMetrics:
    try:
        credentials = PrometheusCredentials.from_environment(os.environ)
        return PrometheusMetrics(prometheus_url, credentials)
    except ValueError as error:
        raise WorkerSettingsError(str(error)) from None


def _open_flags(redis_url: str) -> RedisFlags:
    try:
        return RedisFlags.from_url(redis_url, os.environ)
    except FlagKeyError as error:
        raise WorkerSettingsError(str(error)) from None
    except ValueError as error:  # without the address: it may hold a password
        raise WorkerSettingsError(f"REDIS_URL is not a valid Redis URL: {error}") from None


def run() -> NoReturn:
    """Work, and leave at once.

    Leaving through ``os._exit`` is deliberate: an interpreter that shuts down after the SDK has
    connected, or tried to, aborts in a part of runs (sdk-python#300).
    """
    code = 0
    try:
        asyncio.run(main(WorkerSettings.read(os.environ)))
    except STARTUP_ERRORS as error:
        sys.stderr.write(f"worker: {error}\n")
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    run()
