"""The windows of gates, cut at the moment at which the step's share went live.

A window that reaches further back holds readings of another step: of the share before, of the
release that was rolled back, or of an earlier rollout of the same flag.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from string import Template

from sluice.rollout.analysis.gate import Gate, GateKind, Metric
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.units import format_duration

WINDOW_MIN = timedelta(seconds=1)


@dataclass(frozen=True)
class LiveWindow:
    """A gate with its own metric, and the time for which the step has been live (None: unknown)."""

    gate: Gate
    metric: Metric
    live_for: timedelta | None

    @property
    def is_partial(self) -> bool:
        """True when the window reaches back to before the step, in readings of the treatment.

        Readings of other cohorts do not depend on the share: their windows stay whole. So does the
        slope of a metric of all users, such as memory.
        """
        is_treatment = self.gate.cohort == "treatment"
        if self.gate.kind is GateKind.TREND and is_treatment:
            is_treatment = "cohort" in Template(self.metric.query).get_identifiers()
        return is_treatment and self.live_for is not None and self.live_for < self.gate.window

    def cut(self) -> Gate:
        """Return the gate with the window in which the step was live."""
        if not self.is_partial or self.live_for is None:
            return self.gate
        return self.gate.model_copy(update={"window": max(self.live_for, WINDOW_MIN)})

    def hold_early_failure(self, verdict: Verdict) -> Verdict:
        """Hold a failure that only shows how short the step has been live.

        A slope over a few minutes is noise, and a count that must exceed its limit is still growing.
        """
        must_grow = self.metric.unit == "count" and self.gate.direction == "above"
        is_early = self.is_partial and (must_grow or self.gate.kind is GateKind.TREND)
        if not is_early or verdict.outcome is not Outcome.FAILED:
            return verdict
        reason = f"{verdict.reason}; {self._describe_part()}"
        return verdict.model_copy(update={"outcome": Outcome.INCONCLUSIVE, "reason": reason})

    def _describe_part(self) -> str:
        live = timedelta(seconds=int((self.live_for or timedelta(0)).total_seconds()))
        window = format_duration(self.gate.window)
        return f"the step has been live for {format_duration(live)} of the window of {window}"


def time_live(since: datetime | None, at: datetime) -> timedelta | None:
    """Return the time for which the step has been live; None when it is unknown."""
    return None if since is None else at - since
