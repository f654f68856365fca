"""What a rollout is started with and what it ends with."""

from rollout.gate import Model
from rollout.notice import Channel, Notice
from rollout.plan import RolloutPlan
from rollout.state import State, Status


class RolloutInput(Model):
    """A new rollout has ``state`` None; a continued one carries everything in it."""

    plan: RolloutPlan
    state: State | None = None


class RolloutResult(Model):
    """How it ended. ``report`` is the path of the post-mortem."""

    status: Status
    percentage: float
    report: str


def workflow_id(flag: str) -> str:
    """One rollout per flag: Temporal refuses a second one with the same id."""
    return f"rollout-{flag}"


class NoticeDelivery(Model):
    """One notice and the channels that its severity goes to."""

    notice: Notice
    channels: tuple[Channel, ...]
