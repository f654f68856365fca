"""The worker's options: slots, cache, draining and version."""

from datetime import timedelta
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from sluice.worker.settings import WorkerSettings
from workflows.signal_guard import SignalGuard

STICKY_TIMEOUT = timedelta(seconds=10)
"""The time that a task waits for the worker that has its rollout in memory, dead or busy.

Not shorter: see docs/decisions/015-queries-and-the-sticky-queue.md.
"""


def worker_options(settings: WorkerSettings) -> dict[str, Any]:
    """Return the options of ``temporalio.worker.Worker`` for these settings."""
    return {
        "graceful_shutdown_timeout": settings.drain,
        "sticky_queue_schedule_to_start_timeout": STICKY_TIMEOUT,
        "max_cached_workflows": settings.cached_workflows_max,
        "max_concurrent_workflow_tasks": settings.workflow_tasks_max,
        "max_concurrent_activities": settings.activities_max,
        "max_concurrent_local_activities": settings.local_activities_max,
        "deployment_config": _deployment_config(settings),
        "interceptors": [SignalGuard()],
    }


def _deployment_config(settings: WorkerSettings) -> WorkerDeploymentConfig | None:
    """Return the versioning options; without a build id the worker is unversioned.

    AUTO_UPGRADE: a rollout must never wait for a worker of its old version, because its red flags
    are not watched meanwhile (docs/decisions/007-auto-upgrade.md).
    """
    if not settings.build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.deployment, settings.build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )
