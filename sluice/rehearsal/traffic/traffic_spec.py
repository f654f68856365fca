"""The spec of synthetic traffic: the router's state and the traffic of one step."""

from dataclasses import dataclass

from sluice.rehearsal.traffic.fault_schedule import FaultSchedule
from sluice.rehearsal.traffic.scenario import TrafficModel
from sluice.rehearsal.traffic.series_filter import SeriesFilter


@dataclass(frozen=True)
class RouterState:
    """The state of the router while a step is live."""

    percentage: float
    flags_on: bool
    learning_on: bool


@dataclass(frozen=True)
class TrafficSpec:
    """The spec of one recording: ``lead_ticks`` under ``previous_state``, then ``current_state``.

    Tick 0 is ``start_hour`` hours after Monday 0:00. ``learned_hours`` is the time that the treatment had learned
    at the end of the lead. ``series``: those to record; all of them unless given.
    """

    traffic: TrafficModel
    previous_state: RouterState
    current_state: RouterState
    lead_ticks: int
    tick_seconds: float
    start_hour: float
    learned_hours: float
    faults: FaultSchedule
    seed: int
    learning_hours: float = 150.0
    """Hours in which the learner gains about two thirds of what it can."""
    series: SeriesFilter | None = None
