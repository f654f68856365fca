"""Every change of the state, one function each. No other module assigns a field of it."""

from sluice.rollout.engine.transitions.acknowledgements import (
    acknowledge,
    expire_acknowledgements,
)
from sluice.rollout.engine.transitions.evidence import drop_evidence, receive_evidence
from sluice.rollout.engine.transitions.notices import (
    add_event,
    enqueue_notice,
    page_slow_rollback,
    take_notices,
)
from sluice.rollout.engine.transitions.pauses import (
    expire_approval,
    lapse_approvals,
    pause,
    pause_automatically,
    record_finding,
    resume,
)
from sluice.rollout.engine.transitions.people import (
    apply_command,
    record_approvals_min,
    record_start,
    record_verification,
    revoke_approvals,
)
from sluice.rollout.engine.transitions.reminders import send_reminders
from sluice.rollout.engine.transitions.rollbacks import (
    catch_up,
    complete_rollback,
    confirm_abort,
    confirm_rollback,
    next_write,
    raise_finding,
    record_abort_write,
    record_refused_rollback,
    record_revert,
    request_abort,
    start_rollback,
)
from sluice.rollout.engine.transitions.steps import (
    enter_step,
    finish,
    mark_recorded,
    merge_evidence,
    promote,
    record_check,
    record_item_results,
    record_waiting_check,
    retry,
)

__all__ = [
    "acknowledge",
    "add_event",
    "apply_command",
    "catch_up",
    "complete_rollback",
    "confirm_abort",
    "confirm_rollback",
    "drop_evidence",
    "enqueue_notice",
    "enter_step",
    "expire_acknowledgements",
    "expire_approval",
    "finish",
    "lapse_approvals",
    "mark_recorded",
    "merge_evidence",
    "next_write",
    "page_slow_rollback",
    "pause",
    "pause_automatically",
    "promote",
    "raise_finding",
    "receive_evidence",
    "record_abort_write",
    "record_approvals_min",
    "record_check",
    "record_finding",
    "record_item_results",
    "record_refused_rollback",
    "record_revert",
    "record_start",
    "record_verification",
    "record_waiting_check",
    "request_abort",
    "resume",
    "retry",
    "revoke_approvals",
    "send_reminders",
    "start_rollback",
    "take_notices",
]
