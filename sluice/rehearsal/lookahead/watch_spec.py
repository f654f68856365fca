"""What a watch guards, and what it is told of the time ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState


@dataclass(frozen=True)
class WatchSpec:
    """What the watch is told: red flags, their metrics, and what they are compared with."""

    red_flags: Sequence[Gate]
    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Reading]
    interval_seconds: float
    evidence_context: EvidenceContext | None = None

    def after_handover(self, tracks: Mapping[str, SequentialState]) -> "WatchSpec":
        """What the next watch is told once this one has handed over its evidence."""
        if self.evidence_context is None:
            return self
        return replace(self, evidence_context=with_evidence(self.evidence_context, tracks))


@dataclass(frozen=True)
class Breach:
    """When the watch finds something, and which red flags; none: look again then."""

    at: datetime
    names: tuple[str, ...] = ()
    tracks: dict[str, SequentialState] = field(default_factory=dict)


def with_evidence(
    exposure: EvidenceContext, tracks: Mapping[str, SequentialState]
) -> EvidenceContext:
    """The same, with these tracks in place of its own of their names."""
    return exposure.model_copy(
        update={"sequential_states": {**exposure.sequential_states, **tracks}}
    )


def has_both_cohorts(exposure: EvidenceContext | None) -> bool:
    """Whether there are two cohorts, so that evidence can grow at all."""
    return exposure is not None and 0 < exposure.share < 1
