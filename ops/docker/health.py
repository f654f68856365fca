"""Health of the process in this container, as the exit status: 0 is healthy.

A router (`SLUICE_HEALTH=router`, the default) must answer that it is ready. A worker
(`SLUICE_HEALTH=worker`) must have polled its task queue within the last minute and a half, as
Temporal itself says: a worker that lives but doesn't poll moves no rollout.
"""

import asyncio
import datetime as dt
import os
import socket
import sys
import urllib.request
from http import HTTPStatus

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from workflows.policies import TASK_QUEUE

READY_URL = "http://127.0.0.1:8080/readyz"
POLLED_WITHIN = dt.timedelta(seconds=90)  # an idle worker polls anew once a minute


def router_ready() -> bool:
    with urllib.request.urlopen(READY_URL, timeout=3) as answer:
        return bool(answer.status == HTTPStatus.OK)


async def worker_polls() -> bool:
    config = ClientConfig.load_client_connect_config()
    client = await Client.connect(**config)
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=TASK_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(request)
    now = dt.datetime.now(dt.UTC)
    return any(
        poller.identity.endswith(f"@{socket.gethostname()}")
        and now - poller.last_access_time.ToDatetime(dt.UTC) < POLLED_WITHIN
        for poller in answer.pollers
    )


def main() -> int:
    if os.environ.get("SLUICE_HEALTH", "router") == "worker":
        return 0 if asyncio.run(worker_polls()) else 1
    return 0 if router_ready() else 1


if __name__ == "__main__":
    sys.exit(main())
