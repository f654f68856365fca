"""What a rollout is started with and what it ends with."""

from sluice.rollout.analysis.gate import Model
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.notification import Channel, Notice
from sluice.rollout.plan.schema import RolloutPlan


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
