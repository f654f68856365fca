"""The decisions that change nothing but the state: alike for whoever carries a plan out."""

from datetime import datetime

from sluice.rollout.engine import escalation, transitions
from sluice.rollout.engine.decide import (
    Decision,
    ExpireApproval,
    Pause,
    Promote,
    RecordFinding,
    SendReminder,
)
from sluice.rollout.engine.state import State


def apply_decision(state: State, now: datetime, decision: Decision) -> bool:
    """Carry it out; False, and nothing done, when it takes more than the state."""
    match decision:
        case ExpireApproval(reason=because):
            transitions.expire_approval(state, now, because)
        case Promote(reason=because):
            transitions.promote(state, now, because)
        case RecordFinding():
            transitions.record_finding(state, now)
        case SendReminder():
            escalation.send_reminders(state, now)
        case Pause(reason=because, auto_rollback_at=acts_at):
            transitions.pause_automatically(state, now, because, acts_at)
        case _:
            return False
    return True
