"""The outside of a rollout, as its executor uses it.

Four worlds implement the protocol: the Temporal workflow, the rehearsal without Temporal, the
seeded simulator, and the unit tests' machine.
"""

from datetime import datetime
from typing import Protocol

from pydantic import Field

from sluice.rollout.analysis.gate import Gate, Metric, Model
from sluice.rollout.analysis.reading import STALE_AFTER, Reading
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.decide import RunCheck
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.evidence_context import build_evidence_context
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.state import State, Status
from sluice.rollout.engine.timeline import events_to_record
from sluice.rollout.plan.checklist import ChecklistItem, ItemResult
from sluice.rollout.plan.schema import Step
from sluice.rollout.units import Duration


class WorldError(Exception):
    """An effect failed for good; the message is the innermost cause."""


class CheckRequest(Model):
    """Measure ``gates`` at ``at``; ``id`` and ``at`` make the evidence's entry idempotent.

    ``baseline_gates`` are gates whose readings become the baseline (thresholds unused). ``events``
    are the timeline's lines since the last check: the ledger gets them with this one.
    ``evidence_digest`` is the digest of the row before it.
    """

    id: str
    rollout_id: str
    step: str
    at: datetime
    metrics: dict[str, Metric]
    gates: tuple[Gate, ...]
    baseline: dict[str, Reading]
    baseline_gates: tuple[Gate, ...] = ()
    events: tuple[Event, ...] = ()
    evidence_digest: str = ""
    evidence_context: EvidenceContext | None = None
    stale_after: Duration = STALE_AFTER
    live_since: datetime | None = None

    @property
    def ledger_key(self) -> str:
        """The row's key. With the time: a check that is dropped and asked for again is another."""
        return f"check-{self.id}-{self.at.isoformat()}"


class CheckResult(Model):
    """The judged check, and by metric the usable baseline readings of ``baseline_gates``.

    ``sequential_states`` is the statistical gates' evidence, by gate name. ``digest`` is that of
    the check's row.
    """

    check: Check
    baseline: dict[str, Reading] = Field(default_factory=dict)
    sequential_states: dict[str, SequentialState] = Field(default_factory=dict)
    digest: str = ""


class World(Protocol):
    """Effects of a rollout. A world may raise an exception of its own to drop a decision."""

    async def write(self, write: FlagWrite) -> FlagReceipt:
        """Write the flag and return what the store holds then.

        A rollback is tried until it is done.

        Raises:
            WorldError: the store refuses to raise the flag.
        """
        ...

    async def check(self, request: CheckRequest) -> CheckResult:
        """Measure and judge every gate.

        Raises:
            WorldError: the check could not be made.
        """
        ...

    async def run_checklist(
        self, step: Step, items: tuple[ChecklistItem, ...]
    ) -> tuple[ItemResult, ...]:
        """Evaluate the automated items, in their order.

        Raises:
            WorldError: none of them could be evaluated.
        """
        ...

    async def confirm(self, receipt: FlagReceipt) -> str:
        """Wait until no router process serves more than the receipt's; return what they reported."""
        ...

    async def report(self, status: Status) -> str:
        """Write the post-mortem of a rollout that ends like this, and return its path."""
        ...

    async def wait(self, until: datetime | None, reason: str) -> None:
        """Return at ``until`` (None: no time), or earlier because something happened."""
        ...


def build_check_request(state: State, now: datetime, decision: RunCheck) -> CheckRequest:
    """Build the request for the step's check; its id counts the rollout's checks."""
    step = decision.step
    return CheckRequest(
        id=f"{step.name}/{state.check_count}",
        rollout_id=state.rollout_id,
        step=step.name,
        at=now,
        metrics=state.plan.metrics,
        gates=step.gates,
        baseline=state.baseline,
        baseline_gates=state.plan.baselines if decision.live and step.record_baseline else (),
        events=events_to_record(state),
        evidence_digest=state.evidence.digest,
        evidence_context=build_evidence_context(state, "gates", step),
        stale_after=state.plan.stale_after,
        live_since=state.live.since,
    )


def unmeasured_check(request: CheckRequest, reason: str) -> Check:
    """Build the check whose every verdict is Error, because nothing could be measured."""
    verdicts = tuple(
        Verdict(
            gate=gate.name,
            outcome=Outcome.ERROR,
            reason=f"{gate.name}: the check could not be made: {reason}",
            severity=gate.severity,
        )
        for gate in request.gates
    )
    return Check(id=request.id, at=request.at, step=request.step, verdicts=verdicts)
