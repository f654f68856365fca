"""Every timeout and retry of the rollout, named.

No activity uses ``ActivityCancellationType.ABANDON``. In temporalio 1.35 an activity cancelled so
wedges its workflow for good when it later fails or times out.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy

TASK_QUEUE = "sluice"
FLAG_REFUSED = "FlagRefused"
NOTICE_REFUSED = "NoticeRefused"
CODE_CONFLICT = "CodeConflict"
CODE_REFUSED = "CodeRefused"
HISTORY_EVENTS_MAX = 400
"""Continue as new above this: replaying 400 events costs a cold worker about 0.2 s."""

APPLY_AT_ONCE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(milliseconds=500),
    "schedule_to_close_timeout": timedelta(seconds=2),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=50),
        maximum_interval=timedelta(milliseconds=400),
        maximum_attempts=4,
        non_retryable_error_types=[FLAG_REFUSED],
    ),
}
"""The rollback's fast path, a local activity: 26 ms, where a regular one that fails once costs 1 s."""

VERIFY: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=2),
    "schedule_to_close_timeout": timedelta(seconds=8),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=3),
}
"""A local activity that reads the keyring, shorter than the command line waits for its answer.

If it fails, nothing is raised.
"""

APPLY_UNTIL_DONE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=15),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=5),
        maximum_attempts=0,
        non_retryable_error_types=[FLAG_REFUSED],
    ),
}
"""The path behind it, and the one of steps: retried for as long as it takes.

The workflow may stop waiting for it: the fence then refuses the late write.
"""

REFUSED_RETRY_INTERVAL_MIN = timedelta(seconds=5)
REFUSED_RETRY_INTERVAL_MAX = timedelta(minutes=1)


def refused_retry_intervals() -> Iterator[timedelta]:
    """Yield the pauses between attempts of a rollback that the store refuses, without end."""
    interval = REFUSED_RETRY_INTERVAL_MIN
    while True:
        yield interval
        interval = min(2 * interval, REFUSED_RETRY_INTERVAL_MAX)


CONFIRM: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=1),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10), maximum_attempts=0),
}

CHECK: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3),
}
"""Exhausted attempts are an Error verdict: the rollout holds. An abandoned check's result is ignored."""

CHECKLIST: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=45),
    "heartbeat_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": timedelta(minutes=3),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3),
}
"""Exhausted attempts leave the items undone; the plan sets when they are checked again."""

DELIVER: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=15),
    "schedule_to_close_timeout": timedelta(days=3),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
        non_retryable_error_types=[NOTICE_REFUSED],
    ),
}
"""A notice that no channel accepted for three days is dropped; the timeline has it."""

REVERT: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=20),
    "schedule_to_close_timeout": timedelta(hours=1),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=10,
        non_retryable_error_types=[CODE_CONFLICT, CODE_REFUSED],
    ),
}
"""A person takes over a revert that can't be pushed or deployed for an hour; the flag is at 0 %."""

REPORT: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=0),
}

WATCH_DURATION_MAX = timedelta(days=365)
WATCH_HANDOVER = timedelta(hours=1)
"""Interval at which a watch with statistical red flags returns its evidence to the workflow."""
WATCH_HEARTBEAT_TIMEOUT_MAX = timedelta(seconds=5)
WATCH_RETRY = RetryPolicy(maximum_interval=timedelta(seconds=2), maximum_attempts=0)


def watch_options(interval: timedelta) -> dict[str, Any]:
    """Return the watch's options: a dead worker is noticed after two missed polls, 5 s at most."""
    return {
        "start_to_close_timeout": WATCH_DURATION_MAX,
        "heartbeat_timeout": min(2 * interval + timedelta(seconds=1), WATCH_HEARTBEAT_TIMEOUT_MAX),
        "retry_policy": WATCH_RETRY,
    }
