"""The decision that a proof binds to: in one run, at one step, on one piece of evidence."""

from datetime import datetime

from sluice.rollout.engine.commands import Command, Verb, plan_digest
from sluice.rollout.engine.state import State
from sluice.rollout.model import Model
from sluice.rollout.plan.schema import RolloutPlan

LOWERING_VERBS = frozenset({Verb.ABORT, Verb.ROLLBACK, Verb.PAUSE})
"""Commands that never raise traffic: open to everybody, recorded as unverified."""
START = "start"


class DecisionContext(Model):
    """The decision as the rollout sees it, at ``time``.

    ``percentage`` (0 to 100) is live when the decision is made. ``nonces`` were used before.
    """

    rollout: str
    run: str
    plan: str
    verb: str
    step: str = ""
    percentage: float = 0.0
    evidence: str = ""
    item: str = ""
    target: str = ""
    reason: str = ""
    actor: str
    environment: str
    time: datetime
    nonces: frozenset[str] = frozenset()


def command_context(state: State, verb: Verb, command: Command, now: datetime) -> DecisionContext:
    """Describe a command to a running rollout."""
    return DecisionContext(
        rollout=state.rollout_id.partition("/")[0],
        run=state.run_id,
        plan=plan_digest(state.plan),
        verb=verb,
        step=state.step.name if state.step else "",
        percentage=state.percentage,
        evidence=command.evidence,
        item=command.item,
        target=command.target,
        reason=command.reason,
        actor=command.actor,
        environment=state.plan.environment,
        time=now,
        nonces=frozenset(state.decisions.used_nonces),
    )


def start_context(
    rollout: str, plan: RolloutPlan, command: Command, now: datetime
) -> DecisionContext:
    """Describe the start of a rollout, whose run has no id yet when it is signed."""
    return DecisionContext(
        rollout=rollout,
        run="",
        plan=plan_digest(plan),
        verb=START,
        target=command.target,
        reason=command.reason,
        actor=command.actor,
        environment=plan.environment,
        time=now,
    )
