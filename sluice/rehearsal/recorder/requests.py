"""Requests to the process that records a rehearsal, each with the type of its answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.lookahead.watch_spec import Breach, WatchSpec
from sluice.rehearsal.traffic.scenario import Scenario
from sluice.rollout.plan.schema import RolloutPlan

AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)
ReadingsByQuery = dict[str, dict[int, float]]
"""Readings by expression and by ticks after the entry of a step. NaN means no data."""


@dataclass(frozen=True)
class TimelineSpec:
    """The plan, scenario, seed and begin of one timeline."""

    plan: RolloutPlan
    scenario: Scenario
    seed: int
    begin: datetime


class TimelineRecorder(Protocol):
    """The methods that a request may call."""

    def start_timeline(self, spec: TimelineSpec) -> None:
        """Begin another timeline."""

    def enter_step(self, index: int, at: datetime) -> None:
        """Record that a step went live."""

    def new_readings(self, promql: str, at: datetime) -> ReadingsByQuery:
        """Return the readings of the live step that were not sent yet."""
        ...

    def sample_ages(self, at: datetime) -> Floats:
        """Return the age of samples at each tick of the live step."""
        ...

    def next_breach(self, spec: WatchSpec, now: datetime, until: datetime) -> Breach:
        """Return the next moment at which a red flag fires."""
        ...

    def first_fault_at(self) -> datetime | None:
        """Return when the first fault began."""
        ...

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Return treatment queries, failed ones and users between two times."""
        ...


class RecorderRequest(Protocol[AnswerT_co]):
    """A picklable request."""

    def answer(self, recorder: TimelineRecorder) -> AnswerT_co:
        """Call the recorder's method."""
        ...


@dataclass(frozen=True)
class StartTimeline:
    """Begin another timeline."""

    spec: TimelineSpec

    def answer(self, recorder: TimelineRecorder) -> None:
        """Call the recorder's method."""
        recorder.start_timeline(self.spec)


@dataclass(frozen=True)
class RecordStepEntry:
    """Record that a step went live."""

    index: int
    at: datetime

    def answer(self, recorder: TimelineRecorder) -> None:
        """Call the recorder's method."""
        recorder.enter_step(self.index, self.at)


@dataclass(frozen=True)
class FetchReadings:
    """Fetch the readings of the live step that were not sent yet."""

    promql: str
    at: datetime

    def answer(self, recorder: TimelineRecorder) -> ReadingsByQuery:
        """Call the recorder's method."""
        return recorder.new_readings(self.promql, self.at)


@dataclass(frozen=True)
class FetchSampleAges:
    """Fetch the age of samples at each tick of the live step."""

    at: datetime

    def answer(self, recorder: TimelineRecorder) -> Floats:
        """Call the recorder's method."""
        return recorder.sample_ages(self.at)


@dataclass(frozen=True)
class FindBreach:
    """Find the next moment at which a red flag fires."""

    spec: WatchSpec
    now: datetime
    until: datetime

    def answer(self, recorder: TimelineRecorder) -> Breach:
        """Call the recorder's method."""
        return recorder.next_breach(self.spec, self.now, self.until)


@dataclass(frozen=True)
class FetchFirstFault:
    """Fetch when the first fault began."""

    def answer(self, recorder: TimelineRecorder) -> datetime | None:
        """Call the recorder's method."""
        return recorder.first_fault_at()


@dataclass(frozen=True)
class CountExposure:
    """Count treatment queries, failed ones and users between two times."""

    begin: datetime
    end: datetime

    def answer(self, recorder: TimelineRecorder) -> tuple[int, int, int]:
        """Call the recorder's method."""
        return recorder.exposure(self.begin, self.end)
