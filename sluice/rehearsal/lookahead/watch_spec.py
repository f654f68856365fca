"""The input of a lookahead, and its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState


@dataclass(frozen=True)
class WatchSpec:
    """The input of a watch: red flags, their metrics and their references.

    ``since``: its begin. ``blind_after``: the time without a verdict that is a finding (None: none).
    """

    red_flags: Sequence[Gate]
    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Reading]
    interval_seconds: float
    evidence_context: EvidenceContext | None = None
    since: datetime | None = None
    blind_after: timedelta | None = None

    def after_handover(self, tracks: Mapping[str, SequentialState]) -> "WatchSpec":
        """Return the input of the next watch after this one has handed over its evidence."""
        if self.evidence_context is None:
            return self
        return replace(self, evidence_context=with_evidence(self.evidence_context, tracks))


@dataclass(frozen=True)
class Breach:
    """The time of a finding and its red flags; without any, the time to look again.

    ``blind_since``: by red flag, the time since which it has had no verdict.
    """

    at: datetime
    names: tuple[str, ...] = ()
    tracks: dict[str, SequentialState] = field(default_factory=dict)
    blind_since: dict[str, datetime] = field(default_factory=dict)


def with_evidence(
    exposure: EvidenceContext, tracks: Mapping[str, SequentialState]
) -> EvidenceContext:
    """Return a copy in which these tracks replace those of the same names."""
    return exposure.model_copy(
        update={"sequential_states": {**exposure.sequential_states, **tracks}}
    )


def has_both_cohorts(exposure: EvidenceContext | None) -> bool:
    """Return True with two cohorts, without which evidence cannot grow."""
    return exposure is not None and 0 < exposure.share < 1
