"""The Temporal worker: reads the settings, puts drivers behind the ports, and works until told to stop."""

import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

import httpx
from temporalio.worker import Worker

from activities.archive import FileArchive
from activities.channels import channels
from activities.checklist import ChecklistActivities
from activities.code import CodeActivities
from activities.connection import NoTemporalError, connected
from activities.encryption import PayloadKeyError
from activities.flags import FlagActivities
from activities.git_code import GitCode
from activities.health import serving_health
from activities.ledger import PostgresLedger
from activities.measure import MeasureActivities
from activities.notify import NoticeActivities
from activities.prometheus import PrometheusMetrics
from activities.redis_flags import RedisFlags
from activities.report import ReportActivities
from activities.settings import SettingsError, WorkerSettings
from activities.site import LiveSite
from activities.watch import WatchActivities
from workflows.channels_workflow import ChannelsWorkflow
from workflows.notice_workflow import NoticeWorkflow
from workflows.policies import TASK_QUEUE
from workflows.rollout_workflow import RolloutWorkflow
from workflows.serving import worker_options


async def main(settings: WorkerSettings) -> None:
    """Connect, work, and drain on SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    metrics = PrometheusMetrics(settings.prometheus_url)
    flags, ledger = _flags(settings.redis_url), PostgresLedger(settings.postgres_dsn)
    site = LiveSite.from_environment(os.environ, flags, metrics)
    code = GitCode(settings.code_repository, settings.deploy_hook, os.environ)
    async with connected(settings) as client, httpx.AsyncClient() as http:
        notices = NoticeActivities(channels(http, settings), settings.runbooks_url)
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[RolloutWorkflow, NoticeWorkflow, ChannelsWorkflow],
            activities=[
                FlagActivities(flags).apply,
                FlagActivities(flags).confirm,
                MeasureActivities(metrics, ledger).check,
                WatchActivities(metrics, flags, ledger).watch,
                ChecklistActivities(metrics, site).check_items,
                notices.deliver,
                notices.configured,
                CodeActivities(code).revert,
                ReportActivities(ledger, FileArchive()).write_report,
            ],
            **worker_options(settings),
        )
        async with worker, serving_health(settings.health_address, client, TASK_QUEUE):
            logging.getLogger("sluice").info("worker ready on task queue %s", TASK_QUEUE)
            await stop.wait()
    await ledger.close()
    await site.close()
    await flags.close()


def _flags(redis_url: str) -> RedisFlags:
    try:
        return RedisFlags.from_url(redis_url)
    except ValueError as error:  # without the address: it may hold a password
        raise SettingsError(f"REDIS_URL is no address of a Redis: {error}") from None


def run() -> NoReturn:
    """Work, and leave at once.

    Leaving through ``os._exit`` is deliberate: an interpreter that shuts down after the SDK has
    connected, or tried to, aborts in a part of runs (sdk-python#300).
    """
    code = 0
    try:
        asyncio.run(main(WorkerSettings.read(os.environ)))
    except (SettingsError, PayloadKeyError, NoTemporalError) as error:
        sys.stderr.write(f"worker: {error}\n")
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    run()
