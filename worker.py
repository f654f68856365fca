"""The Temporal worker: reads the settings, puts drivers behind the ports, and works until told to stop."""

import asyncio
import logging
import os
import signal
import sys

import httpx
from temporalio.worker import Worker

from activities.archive import FileArchive
from activities.channels import channels
from activities.checklist import ChecklistActivities
from activities.code import CodeActivities
from activities.connection import connected
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
    flags, ledger = RedisFlags.from_url(settings.redis_url), PostgresLedger(settings.postgres_dsn)
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


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    try:
        asyncio.run(main(WorkerSettings.read(os.environ)))
    except (SettingsError, PayloadKeyError) as error:
        sys.exit(f"worker: {error}")
