"""Requests and results of the activities: one model each way."""

import json
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from sluice.rollout.analysis.failure_runs import FailureRun
from sluice.rollout.analysis.gate import Gate, Metric, Model, Severity
from sluice.rollout.analysis.reading import STALE_AFTER, Reading
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState
from sluice.rollout.engine.commands import Proof, Signer
from sluice.rollout.engine.decision_context import DecisionContext
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.evidence_chain import link_evidence
from sluice.rollout.engine.state import Finding, State
from sluice.rollout.engine.world import CheckResult
from sluice.rollout.plan.approval_policy import ApprovalRecord
from sluice.rollout.plan.checklist import ChecklistItem, ItemResult
from sluice.rollout.plan.notification import Channel, Notice
from sluice.rollout.plan.schema import PhaseSwitches
from sluice.rollout.units import Duration, format_count


class ConfirmRequest(Model):
    """Ask every router process until none serves more than ``percentage`` (in percent)."""

    environment: str
    flag: str
    percentage: float
    version: int


class Confirmation(Model):
    """``processes`` reported it themselves; ``expired`` were silent for longer than their lease.

    ``silent`` sent no heartbeat for 5 s, so nobody asked them: their lease expired before.
    """

    processes: int
    expired: int
    seconds: float
    silent: int = 0

    @property
    def text(self) -> str:
        unasked = f"; {self.silent} without a heartbeat were not asked" if self.silent else ""
        if not self.processes and not self.expired:
            return f"in the store only: no process to ask{unasked} ({self.seconds:.2f} s)"
        silent = f", {self.expired} silent past their lease" if self.expired else ""
        reporters = format_count(self.processes, "process")
        verb = "reports" if self.processes == 1 else "report"
        return f"{reporters} {verb} it{silent}{unasked} ({self.seconds:.2f} s)"


class CheckRecord(CheckResult):
    """A check in the ledger, with the rules that judged it, so that it explains itself."""

    gates: tuple[Gate, ...] = ()
    metrics: dict[str, Metric] = Field(default_factory=dict)


class WatchRequest(Model):
    """Evaluate ``red_flags`` every ``interval_seconds`` until one fires.

    With ``evidence_context`` the watch weighs statistical red flags, and returns its evidence
    after ``handover_seconds``; without it only a finding ends the watch.
    ``percentage`` is the stored percentage that the watch asserts; None: the flag is not yet the
    rollout's. ``muted_findings`` were reported before and are not reported again.
    ``blind_after``: a red flag without a verdict for so long is a finding (None: never).
    ``live_since``: readings of the treatment reach no further back.
    """

    rollout_id: str
    step: str
    environment: str
    flag: str
    percentage: float | None
    interval_seconds: float
    metrics: dict[str, Metric] = Field(default_factory=dict)
    red_flags: tuple[Gate, ...] = ()
    baseline: dict[str, Reading] = Field(default_factory=dict)
    muted_findings: tuple[str, ...] = ()
    evidence_context: EvidenceContext | None = None
    handover_seconds: float = 3600.0
    stale_after: Duration = STALE_AFTER
    blind_after: Duration | None = None
    blind_severity: Severity = Severity.P1
    live_since: datetime | None = None
    run_id: str = ""
    sequence: int = 0
    """The rollout's fence: a stored flag that is ahead of it was written before a reset."""
    phases: PhaseSwitches | None = None
    """The phases that the step set; None: the plan sets none."""
    is_permanent: bool = False
    """True after the step deleted the flag: everybody is treated."""
    finds_askers: bool = False
    """True when no process may ask for the deleted flag any more (the router's phases need none)."""


class WatchResult(Model):
    """End of a watch: ``finding`` is its cause, None at the end of the shift.

    ``sequential_states`` is the evidence of the statistical red flags, by name.
    """

    finding: Finding | None = None
    sequential_states: dict[str, SequentialState] = Field(default_factory=dict)


class WatchCheckpoint(Model):
    """State of the watch in its heartbeat, from which another worker continues.

    ``late_seconds``: how much later than its interval the last turn came; a worker with too many
    rollouts is late at every turn. ``failure_runs`` holds the failures in a row by red flag.
    ``sequential_states`` holds the evidence of the statistical ones. ``control_seen_at``: when the
    control cohort was there last. ``readings`` and ``problem`` are for people who look at the
    activity (``describe``, the Temporal UI).
    """

    at: datetime | None = None
    poll_count: int = 0
    interval_seconds: float = 0.0
    late_seconds: float = 0.0
    failure_runs: dict[str, FailureRun] = Field(default_factory=dict)
    flag_drift_count: int = 0
    verdict_times: dict[str, datetime] = Field(default_factory=dict)
    control_seen_at: datetime | None = None
    readings: tuple[str, ...] = ()
    problem: str = ""
    sequential_states: dict[str, SequentialState] = Field(default_factory=dict)


LedgerKind = Literal["check", "report", "event", "start", "state"]


class LedgerEntry(Model):
    """One row of evidence; ``body`` is JSON. ``rollout_id`` and ``key`` together are unique.

    ``digest`` links a row to the one before it (``evidence_chain``). Events have their own chain.
    """

    rollout_id: str
    key: str
    kind: LedgerKind
    at: datetime
    body: str
    digest: str = ""

    @property
    def content(self) -> str:
        """The part that the digest covers."""
        return json.dumps([self.key, self.kind, self.at.astimezone(UTC).isoformat(), self.body])

    def linked_to(self, previous: str) -> "LedgerEntry":
        """Return this row as the one after the row with digest ``previous``."""
        digest = link_evidence(self.rollout_id, previous, self.content)
        return self.model_copy(update={"digest": digest})


class ReportRequest(Model):
    """Write the post-mortem of ``state``; ``ending`` is the outcome that it reports."""

    state: State
    ending: Literal["Healthy", "Aborted", "Interim"]
    at: datetime

    def ledger_key(self, kind: Literal["state", "report"]) -> str:
        """Return the key of a row that the report adds."""
        return f"{kind}-{self.ending}-{self.at.isoformat()}"


class EndRecord(Model):
    """The last lines of a timeline."""

    rollout_id: str
    events: tuple[Event, ...]


class ReportReceipt(Model):
    """Paths of the post-mortem, relative to the worker's directory unless the plan's is absolute.

    ``digest`` is that of the last row which the report added to the ledger.
    """

    markdown: str
    html: str
    digest: str = ""


class NoticeRequest(Model):
    """A notice for one channel, sent until the channel accepts it, always with the same key."""

    channel: Channel
    notice: Notice


class RevertRequest(Model):
    """Revert ``commit`` on ``remote``'s ``branch``, push, deploy. The commit's trailer holds ``key``."""

    key: str
    rollout_id: str
    flag: str
    commit: str
    branch: str
    remote: str
    actor: str
    reason: str


class RevertReceipt(Model):
    """``commit`` is the one that undoes it (empty: nothing was left to undo)."""

    commit: str
    text: str


class ChecklistRequest(Model):
    """Evaluate ``items`` at ``at``; ``check: metrics`` queries the metrics of ``baseline_gates``."""

    rollout_id: str
    step: str
    environment: str
    at: datetime
    items: tuple[ChecklistItem, ...]
    metrics: dict[str, Metric]
    baseline_gates: tuple[Gate, ...] = ()
    baseline: dict[str, Reading]
    stale_after: Duration = STALE_AFTER


class ChecklistResult(Model):
    """One answer for each item that was asked about, in the same order."""

    results: tuple[ItemResult, ...]


class ProbeResult(Model):
    """Result of one check of the site; ``reason`` is a sentence for people."""

    passed: bool
    reason: str


class VerificationRequest(Model):
    """A decision that may raise traffic, and the proof that came with it.

    ``run_id`` is the run that asks: a signed start counts for one run. ``approvals`` are those that
    the waiting step has already.
    """

    context: DecisionContext
    proof: Proof | None = None
    run_id: str = ""
    approvals: tuple[ApprovalRecord, ...] = ()


class VerificationResult(Model):
    """``signer`` is verified by the statement with ``nonce``; without a keyring it is None.

    ``approvals_min`` is the worker's minimum of approvals for a step that raises traffic.
    ``revoked`` are the keys of earlier approvals that the keyring no longer accepts.
    """

    has_keyring: bool
    signer: Signer | None = None
    nonce: str = ""
    rejection: str = ""
    approvals_min: int = 0
    revoked: tuple[str, ...] = ()
