"""The Temporal worker: reads the settings, puts drivers behind the ports, and works until told to stop."""

import asyncio
import logging
import os
import signal
from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

from activities.archive import FileArchive
from activities.checklist import ChecklistActivities
from activities.flags import FlagActivities
from activities.ledger import PostgresLedger
from activities.measure import MeasureActivities
from activities.prometheus import PrometheusMetrics
from activities.redis_flags import RedisFlags
from activities.report import ReportActivities
from activities.site import LiveSite
from activities.watch import WatchActivities
from workflows.policies import TASK_QUEUE
from workflows.rollout_workflow import RolloutWorkflow

DRAIN = timedelta(seconds=10)
STICKY = timedelta(milliseconds=500)
"""After a kill -9 the next command waits this long for the dead worker; the default is 10 s."""


async def main() -> None:
    """Connect, work, and drain on SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, data_converter=pydantic_data_converter)
    metrics = PrometheusMetrics(os.environ.get("PROMETHEUS_URL", "http://localhost:9090"))
    flags = RedisFlags.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
    ledger = PostgresLedger(os.environ.get("POSTGRES_DSN", "postgresql://localhost:5432/postgres"))
    site = LiveSite.from_environment(os.environ, flags, metrics)
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[RolloutWorkflow],
        activities=[
            FlagActivities(flags).apply,
            FlagActivities(flags).confirm,
            MeasureActivities(metrics, ledger).check,
            WatchActivities(metrics, flags, ledger).watch,
            ChecklistActivities(metrics, site).check_items,
            ReportActivities(ledger, FileArchive()).write_report,
        ],
        graceful_shutdown_timeout=DRAIN,
        sticky_queue_schedule_to_start_timeout=STICKY,
    )
    async with worker:
        logging.getLogger("sluice").info("worker ready on task queue %s", TASK_QUEUE)
        await stop.wait()
    await ledger.close()
    await site.close()
    await flags.close()


if __name__ == "__main__":
    asyncio.run(main())
