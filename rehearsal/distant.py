"""A course that another process records: the same questions as ``rehearsal.course``, and a memory."""

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from rehearsal.arrays import Floats, finite
from rehearsal.guarded import Breach, Guarded
from rehearsal.pace import ages, placed_at, tick_seconds
from rehearsal.recording import Readings, Recording
from rehearsal.scenario import Scenario
from rollout.plan import RolloutPlan, Step


@dataclass
class DistantCourse:
    """Turns the workflow's time into readings of the recording."""

    plan: RolloutPlan
    scenario: Scenario
    seed: int
    recording: Recording
    begin: datetime
    steps: list[Step] = field(default_factory=list)
    _entered: list[datetime] = field(default_factory=list)
    _known: list[Readings] = field(default_factory=list)
    _fresh: list[Floats | None] = field(default_factory=list)
    _asking: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._tick = tick_seconds(self.plan)
        self._ages = frozenset(ages(self.plan))
        self.recording.ask("begin", (self.plan, self.scenario, self.seed, self.begin))
        self._note(0, self.begin)

    def enter(self, index: int, at: datetime) -> None:
        """Note that the step at ``index`` went live."""
        self.recording.ask("enter", index, at)
        self._note(index, at)

    def _note(self, index: int, at: datetime) -> None:
        self.steps.append(self.plan.steps[index])
        self._known.append({})
        self._fresh.append(None)
        self._entered.append(at)

    def query(self, promql: str, at: datetime) -> float | None:
        """Answer as Prometheus would have at ``at``.

        Raises:
            RehearsalError: it failed, or the process that records did.
        """
        with self._asking:
            if (known := self.remembered(promql, at)) is not None:
                return known[0]
            number, tick = placed_at(self._entered, at, self._tick)
            if promql in self._ages:
                column: Floats = self.recording.ask("ages", at)
                self._fresh[number] = column
                return finite(float(column[tick]))
            found: Readings = self.recording.ask("readings", promql, at)
            for each, read in found.items():
                self._known[number].setdefault(each, {}).update(read)
            return finite(self._known[number][promql][tick])

    def remembered(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """What ``query`` would answer, where that takes no waiting; else None."""
        number, tick = placed_at(self._entered, at, self._tick)
        if promql in self._ages:
            column = self._fresh[number]
            if column is None or not 0 <= tick < len(column):
                return None
            return (finite(float(column[tick])),)
        readings = self._known[number].get(promql, {})
        return (finite(readings[tick]),) if tick in readings else None

    def next_breach(self, guarded: Guarded, now: datetime, until: datetime) -> Breach:
        """See ``rehearsal.ahead``."""
        found: Breach = self.recording.ask("next_breach", guarded, now, until)
        return found

    def fault_begins(self) -> datetime | None:
        """When the first fault began; None while its step was not entered, or nothing is wrong."""
        found: datetime | None = self.recording.ask("fault_begins")
        return found

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Treatment queries, failed ones and users between two times."""
        found: tuple[int, int, int] = self.recording.ask("exposure", begin, end)
        return found
