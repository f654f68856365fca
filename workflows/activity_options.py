"""Every timeout and retry of the rollout, named.

No activity uses ``ActivityCancellationType.ABANDON``. In temporalio 1.35 an activity cancelled so
wedges its workflow for good when it later fails or times out.
"""

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
"""The rollback's fast path: a local activity, 26 ms where a regular one that fails once costs 1 s."""

APPLY_UNTIL_DONE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=15),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=5),
        maximum_attempts=0,
        non_retryable_error_types=[FLAG_REFUSED],
    ),
}
"""Behind it, and for raising traffic: tried for as long as it takes.

The workflow may stop waiting for it: the fence then refuses the late write.
"""

REFUSED_RETRY_INTERVAL = timedelta(seconds=5)
"""A refused lowering (another run owns the flag) is tried again after this, and told."""

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
"""Exhausted attempts leave the items undone; the plan says when they are looked at again."""

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
"""A notice that nobody took for three days is old news; the timeline has it."""

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
"""A revert that can't be pushed or deployed is a person's after an hour; the flag is at 0 % anyway."""

REPORT: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=0),
}

WATCH_DURATION_MAX = timedelta(days=365)
WATCH_HANDOVER = timedelta(hours=1)
"""How often a watch with statistical red flags hands its evidence over to the workflow."""
WATCH_HEARTBEAT_TIMEOUT_MAX = timedelta(seconds=5)
WATCH_RETRY = RetryPolicy(maximum_interval=timedelta(seconds=2), maximum_attempts=0)


def watch_options(interval: timedelta) -> dict[str, Any]:
    """Give the watch's options: a dead worker is noticed after two missed looks, 5 s at most."""
    return {
        "start_to_close_timeout": WATCH_DURATION_MAX,
        "heartbeat_timeout": min(2 * interval + timedelta(seconds=1), WATCH_HEARTBEAT_TIMEOUT_MAX),
        "retry_policy": WATCH_RETRY,
    }
