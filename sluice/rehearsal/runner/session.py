"""Rehearsal sessions: shared servers, and rehearsals of the workflow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sluice.rehearsal.errors import NotRehearsableError
from sluice.rehearsal.prometheus.ephemeral_server import ephemeral_prometheus
from sluice.rehearsal.recorder.client import recorder_process
from sluice.rehearsal.recorder.requests import TimelineSpec
from sluice.rehearsal.ticks import tick_seconds
from sluice.rehearsal.traffic.scenario import (
    HEALTHY_SCENARIO,
    Scenario,
    ScenarioFault,
    load_scenario,
)
from sluice.rehearsal.traffic.synthetic_metrics import series_names
from sluice.rollout.analysis.promql import parse_selectors
from sluice.rollout.plan.schema import RolloutPlan, Step
from sluice.rollout.units import format_duration

if TYPE_CHECKING:
    from sluice.rehearsal.results.result import RehearsalRun
    from sluice.rehearsal.runner.temporal_rehearsal import RehearsalEnvironment

CORE_RUN_BEGIN = datetime(2024, 1, 1, 8, tzinfo=UTC)
"""A Monday at eight, the begin of core runs."""


@asynccontextmanager
async def rehearsal_environment(
    plan: RolloutPlan, scenario: Scenario | None = None, seed: int = 1
) -> AsyncIterator["RehearsalEnvironment"]:
    """Start Prometheus, the recorder and a time-skipping server for rehearsals of ``plan``.

    ``scenario`` and ``seed`` are those of the first rehearsal, which is recorded in advance.

    Raises:
        MissingProgramError: one of them is not installed; the message has the command that installs it.
        NotRehearsableError, PrometheusFailedError: see ``sluice.rehearsal.errors``.
    """
    require_recorded_series(plan)
    first = scenario or load_scenario(HEALTHY_SCENARIO)
    with recorder_process() as recorded, ephemeral_prometheus(tick_seconds(plan)) as url:
        recorded.initialize(url, TimelineSpec(plan, first, seed, CORE_RUN_BEGIN))
        # It starts in more than a second, during which the first step is recorded.
        from sluice.rehearsal.runner.temporal_rehearsal import RehearsalEnvironment  # noqa: PLC0415
        from sluice.rehearsal.runner.time_skipping_server import (  # noqa: PLC0415
            errors_only_runtime,
            time_skipping_server,
        )

        async with time_skipping_server(errors_only_runtime()) as env:
            yield RehearsalEnvironment(env, recorded)


async def rehearse(plan: RolloutPlan, scenario: Scenario, seed: int) -> "RehearsalRun":
    """Run one rehearsal by the workflow, servers included."""
    require_scenario_fits(plan, scenario)
    async with rehearsal_environment(plan, scenario, seed) as shared:
        return await shared.rehearse(plan, scenario, seed)


def require_scenario_fits(plan: RolloutPlan, scenario: Scenario) -> None:
    """Check that every fault begins in a step of the plan, and before the plan ends.

    Raises:
        NotRehearsableError: one does not; the rehearsal would end Healthy without any fault.
    """
    for fault in scenario.faults:
        step = fault.find_step(plan)
        if step is not None:
            _require_begins_in_time(plan, scenario, fault, step)
        else:
            fault_place = fault.step or f"{fault.percentage:g} % or more"
            steps = ", ".join(step.name for step in plan.steps)
            raise NotRehearsableError(
                f"scenario {scenario.name} begins its {fault.kind} fault in {fault_place}; "
                f"plan {plan.name} has {steps}"
            )


def _require_begins_in_time(
    plan: RolloutPlan, scenario: Scenario, fault: ScenarioFault, step: Step
) -> None:
    later = plan.steps[plan.index(step.name) :]
    rest = sum((later_step.hold for later_step in later), timedelta())
    if fault.after >= rest:
        raise NotRehearsableError(
            f"scenario {scenario.name} begins its {fault.kind} fault {format_duration(fault.after)} "
            f"after step {step.name}; plan {plan.name} ends {format_duration(rest)} after it, so the "
            "fault would never begin: copy the scenario and shorten after:"
        )


def require_recorded_series(plan: RolloutPlan) -> None:
    """Raise NotRehearsableError when gates need series that a rehearsal does not record."""
    recorded_series, missing = series_names(), set[str]()
    for _, gate in plan.rules():
        promql = plan.metrics[gate.metric].value_query(gate, gate.cohort)
        missing |= {
            selector.metric for selector in parse_selectors(promql).selectors
        } - recorded_series
    if missing:
        raise NotRehearsableError(
            f"plan {plan.name} asks for series that a rehearsal does not record: "
            f"{', '.join(sorted(missing))}; say what the metric resembles with model: "
            "(docs/rehearsal.md), or backtest it on your own metrics"
        )
