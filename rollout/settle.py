"""The decisions that change nothing but the state: alike for whoever carries a plan out."""

from datetime import datetime

from rollout import escalation, moves, waiting
from rollout.decide import Decision, Expire, Hold, Note, Promote, Remind
from rollout.state import State


def settle(state: State, now: datetime, decision: Decision) -> bool:
    """Carry it out; False, and nothing done, when it takes more than the state."""
    match decision:
        case Expire(because=because):
            waiting.expired(state, now, because)
        case Promote(because=because):
            moves.promoted(state, now, because)
        case Note():
            moves.noted(state, now)
        case Remind():
            escalation.reminded(state, now)
        case Hold(because=because, acts_at=acts_at):
            moves.held(state, now, because, acts_at)
        case _:
            return False
    return True
