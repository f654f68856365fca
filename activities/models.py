"""What goes into activities and comes out of them: one model each way."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from rollout.gate import Gate, Metric, Model
from rollout.notice import Channel, Notice
from rollout.plan import Phases
from rollout.quantity import Duration
from rollout.reading import STALE_AFTER, Reading
from rollout.state import Event, Finding, State
from rollout.target import Target
from rollout.track import Exposure, Track
from rollout.verdict import Check


class FlagTarget(Model):
    """The flag as it shall be. Absolute, so doing it twice is doing it once.

    ``run_id`` and ``sequence`` fence the write: the store refuses it after a newer one.
    A field that is None is left as it is. ``delete`` ends the flag (guide: Stage 5).
    ``killed`` True sets the kill latch, False clears it (a person's retry only). ``lowers``: a
    rollback, which a person's kill latch doesn't refuse: what would expose anybody is left out.
    """

    environment: str
    flag: str
    run_id: str
    sequence: int
    actor: str
    reason: str
    percentage: float | None = None
    whitelist: tuple[str, ...] | None = None
    killed: bool | None = None
    phases: Phases | None = None
    create: bool = False
    delete: bool = False
    lowers: bool = False


def fenced(state: State, target: Target, actor: str, reason: str) -> FlagTarget:
    """Fence a target: each write of the rollout carries a greater sequence than the last."""
    state.sequence += 1
    return FlagTarget(
        environment=state.plan.environment,
        flag=state.plan.flag,
        run_id=state.run_id,
        sequence=state.sequence,
        actor=actor,
        reason=reason,
        **{name: getattr(target, name) for name in Target.model_fields},
    )


class FlagReceipt(Model):
    """The flag as read back from the store after the write. ``version`` is the document's."""

    version: int
    percentage: float
    killed: bool = False
    deleted: bool = False


class ConfirmRequest(Model):
    """Ask every router process until none serves more than ``percentage`` (in percent)."""

    environment: str
    flag: str
    percentage: float
    version: int


class Confirmation(Model):
    """``processes`` said so themselves; ``expired`` were silent longer than their lease allows."""

    processes: int
    expired: int
    seconds: float

    @property
    def text(self) -> str:
        silent = f", {self.expired} silent past their lease" if self.expired else ""
        who = "router process reports" if self.processes == 1 else "router processes report"
        return f"{self.processes} {who} it{silent} ({self.seconds:.2f} s)"


class CheckRequest(Model):
    """Measure ``gates`` at ``at``; ``id`` and ``at`` make the evidence's entry idempotent.

    ``baselines`` are gates whose readings are wanted as the baseline (thresholds unused).
    ``events`` are the timeline's lines since the last check: they go to the ledger with this one.
    """

    id: str
    rollout_id: str
    step: str
    at: datetime
    metrics: dict[str, Metric]
    gates: tuple[Gate, ...]
    baseline: dict[str, Reading]
    baselines: tuple[Gate, ...] = ()
    events: tuple[Event, ...] = ()
    exposure: Exposure | None = None
    stale_after: Duration = STALE_AFTER


class CheckResult(Model):
    """The judged check; by metric, the usable baseline readings when they were asked for.

    ``tracks`` is the statistical gates' evidence, by gate name.
    """

    check: Check
    baseline: dict[str, Reading] = Field(default_factory=dict)
    tracks: dict[str, Track] = Field(default_factory=dict)


class CheckRecord(CheckResult):
    """What the ledger keeps of a check: with the rules it was judged by, it explains itself."""

    gates: tuple[Gate, ...] = ()
    metrics: dict[str, Metric] = Field(default_factory=dict)


class WatchRequest(Model):
    """Evaluate ``red_flags`` every ``interval_seconds`` until one fires.

    With statistical ones (``exposure``) the watch also returns, with its evidence, after
    ``shift_seconds``; without them never otherwise.
    ``percentage`` is what the store must hold: the watch asserts it too. ``noted`` red flags were
    reported already and stay silent. ``percentage`` None: the flag isn't the rollout's yet.
    """

    rollout_id: str
    step: str
    environment: str
    flag: str
    percentage: float | None
    interval_seconds: float
    metrics: dict[str, Metric]
    red_flags: tuple[Gate, ...]
    baseline: dict[str, Reading]
    noted: tuple[str, ...] = ()
    exposure: Exposure | None = None
    shift_seconds: float = 3600.0
    stale_after: Duration = STALE_AFTER


class WatchEnd(Model):
    """Why a watch returned: a finding, or (None) the end of its shift. ``tracks``: its evidence."""

    finding: Finding | None = None
    tracks: dict[str, Track] = Field(default_factory=dict)


class WatchNotes(Model):
    """What the watch remembers in its heartbeat: another worker goes on from here.

    ``failures`` counts, by red flag, the failures in a row; ``tracks`` are the statistical ones'
    evidence. ``readings`` and ``problem`` are for people who look at the activity (``describe``,
    the Temporal UI).
    """

    at: datetime | None = None
    turns: int = 0
    failures: dict[str, int] = Field(default_factory=dict)
    flag_differs: int = 0
    readings: tuple[str, ...] = ()
    problem: str = ""
    tracks: dict[str, Track] = Field(default_factory=dict)


LedgerKind = Literal["check", "finding", "flag", "report", "event", "state"]


class LedgerEntry(Model):
    """One row of evidence; ``body`` is JSON. (rollout_id, key) is unique."""

    rollout_id: str
    key: str
    kind: LedgerKind
    at: datetime
    body: str


class ReportRequest(Model):
    """Write the post-mortem of ``state``; its ``status`` is the end that it tells of."""

    state: State
    ending: Literal["Healthy", "Aborted", "Interim"]
    at: datetime


class ReportReceipt(Model):
    """Where the post-mortem went, relative to the worker's directory unless it was absolute."""

    markdown: str
    html: str


class NoticeRequest(Model):
    """Tell one channel one notice; repeated until it took it, each time with the same key."""

    channel: Channel
    notice: Notice


class RevertRequest(Model):
    """Revert ``commit`` on ``remote``'s ``branch``, push, deploy. ``key`` stands in the commit."""

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
