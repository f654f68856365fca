"""The input and the result of a rollout's workflow."""

from datetime import datetime

from sluice.rollout.analysis.gate import Model
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.notification import Channel, Notice
from sluice.rollout.plan.schema import RolloutPlan

ROLLOUT_WORKFLOW = "RolloutWorkflow"
"""The type's name, for clients: importing the workflow itself takes a third of a second."""
ROLLOUT_ID_PREFIX = "rollout-"


class RolloutInput(Model):
    """A new rollout has ``state`` None; a continued one carries everything in it.

    ``command`` names who starts it and why, with a proof where a keyring asks for one. Its ``to``
    names the step to begin at, for a rollout that was lost.
    """

    plan: RolloutPlan
    command: Command | None = None
    state: State | None = None

    def new_state(self, workflow_id: str, run_id: str, now: datetime) -> State:
        """Return the state of a rollout that begins now, at its first step or the command's."""
        skipped = self._skipped_steps()
        return State(
            rollout_id=f"{workflow_id}/{run_id}",
            run_id=run_id,
            plan=self.plan,
            started_at=now,
            step_index=len(skipped),
            completed_steps=skipped,
        )

    def _skipped_steps(self) -> dict[str, str]:
        """Return the steps before the one to begin at, with the reason; none for an unknown step."""
        if self.command is None or not self.command.to:
            return {}
        names = [step.name for step in self.plan.steps]
        index = names.index(self.command.to) if self.command.to in names else 0
        reason = f"passed in a rollout that was lost, says {self.command.actor}"
        return dict.fromkeys(names[:index], reason)


class RolloutResult(Model):
    """The end of a rollout. ``report`` is the path of the post-mortem."""

    status: Status
    percentage: float
    report: str


def workflow_id(flag: str) -> str:
    """Return the workflow id: one per flag, so Temporal refuses a second rollout of it."""
    return f"{ROLLOUT_ID_PREFIX}{flag}"


class NoticeDelivery(Model):
    """One notice and the channels that its severity goes to."""

    notice: Notice
    channels: tuple[Channel, ...]
