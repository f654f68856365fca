"""What a watch guards, and what it is told of the time ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from rollout.gate import Gate, Metric
from rollout.reading import Reading
from rollout.track import Exposure, Track


@dataclass(frozen=True)
class Guarded:
    """What the watch is told: red flags, their metrics, and what they are compared with."""

    red_flags: Sequence[Gate]
    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Reading]
    interval_seconds: float
    exposure: Exposure | None = None

    def after(self, tracks: Mapping[str, Track]) -> "Guarded":
        """What the next watch is told once this one has handed over its evidence."""
        if self.exposure is None:
            return self
        return replace(self, exposure=carrying(self.exposure, tracks))


@dataclass(frozen=True)
class Breach:
    """When the watch finds something, and which red flags; none: look again then."""

    at: datetime
    names: tuple[str, ...] = ()
    tracks: dict[str, Track] = field(default_factory=dict)


def carrying(exposure: Exposure, tracks: Mapping[str, Track]) -> Exposure:
    """The same, with these tracks in place of its own of their names."""
    return exposure.model_copy(update={"tracks": {**exposure.tracks, **tracks}})


def compares(exposure: Exposure | None) -> bool:
    """Whether there are two cohorts, so that evidence can grow at all."""
    return exposure is not None and 0 < exposure.share < 1
