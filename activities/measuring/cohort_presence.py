"""A control cohort that vanishes in the middle of a step: everyone may be treated, unseen."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from activities.measuring.blindness import unmeasured_finding
from sluice.rollout.analysis.gate import Gate, GateKind, Metric, Severity
from sluice.rollout.engine.state import Finding
from sluice.rollout.units import format_duration, format_whole_seconds

VANISHED = "vanished"
VANISHED_SAMPLES_MIN = 30
"""Samples that a cohort must lack: by chance it has 0 of 30 once in 10 million million."""


class CohortSamples(NamedTuple):
    """The samples of both cohorts in one window, and the treatment's share of users (0 to 1)."""

    treatment: float
    control: float
    share: float
    window: timedelta

    @property
    def expected_control(self) -> float:
        return self.treatment * (1 - self.share) / self.share


def counting_gate(gates: Iterable[Gate], metrics: Mapping[str, Metric]) -> Gate | None:
    """Return the gate whose samples show both cohorts: first one that asks for control anyway."""
    counting = [
        gate
        for gate in gates
        if gate.cohort == "treatment" and gate.metric in metrics and metrics[gate.metric].samples
    ]
    return min(counting, key=lambda gate: gate.kind is not GateKind.CONTROL, default=None)


def control_seen_at(
    seen_at: datetime | None, samples: CohortSamples | None, now: datetime
) -> datetime | None:
    """Return the last time at which control was there, or was not to be expected.

    None until it was there once: a metric that only the treatment has shows nothing. Unknown
    samples are blindness, which is a finding of its own.
    """
    if samples is not None and samples.control > 0:
        return now
    is_missing = samples is not None and samples.expected_control >= VANISHED_SAMPLES_MIN
    return seen_at if seen_at is None or is_missing else now


def vanished_finding(
    samples: CohortSamples | None,
    seen_at: datetime | None,
    limits: tuple[timedelta, Severity],
    now: datetime,
) -> Finding | None:
    """Return a finding when control was last there the limit ago; ``limits``: and its severity."""
    after, severity = limits
    if samples is None or seen_at is None or now - seen_at < after:
        return None
    reason = (
        f"the control cohort has vanished for {format_whole_seconds(now - seen_at)}: "
        f"0 of about {samples.expected_control:,.0f} expected samples in {format_duration(samples.window)}, "
        f"while the treatment has {samples.treatment:,.0f}: is everybody treated?"
    )
    return unmeasured_finding(VANISHED, reason, severity, now)
