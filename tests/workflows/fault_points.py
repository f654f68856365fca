"""The words that the tables of fault points are written in, and how a table is played.

Every point runs the guide's plan (plans/phase4.yaml: its steps, gates, red flags, checklists, approvals
and rollback targets) with hours for its days, without what only people attest, and without statistical
gates, which have tests of their own.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from sluice.rehearsal.runner.time_skipping_server import time_skipping_server
from sluice.rollout.analysis.gate import Gate, GateKind, Severity
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.schema import RolloutPlan, Step
from tests.conftest import run_blocking
from tests.doubles.plan_metrics import MetricValue, PlanMetrics
from tests.phase4_plan import PHASE4
from tests.workflows.rollout_batch import RolloutBatch
from tests.workflows.rollout_case import RolloutCase, ScriptedAction
from workflows.rollout_workflow import RolloutWorkflow

HOUR = timedelta(hours=1)
HEALTHY_READINGS: dict[str, MetricValue] = {
    "latency_p50": 0.2,
    "latency_p90": 0.5,
    "latency_p99": 0.9,
    "error_rate": 0.004,
    "intent_errors": 0.004,
    "tenant_errors": 0.004,
    "queries_per_second": 100.0,
    "cache_hit_rate": 0.93,
    "intent_accuracy": 0.985,
    "routing_accuracy": 0.97,
    "average_reward": 0.75,
    "feedback_rate": 0.0005,
    "feedback_queue_size": 10.0,
    "weight_updates": 3.0,
    "learner_heartbeat_age": 5.0,
    "learner_errors": 0.0,
    "memory": 4e8,
    "flag_evaluation_p99": 0.0002,
    "redis_errors": 0.0,
    "complaints": 0.0,
    "processes_down": 0.0,
    "restarts": 0.0,
}
CaseMutation = Callable[[RolloutCase], Awaitable[None]]


def phase4_in_hours() -> RolloutPlan:
    """Return the guide's plan in hours; a blind red flag is only noted, or points would end at it."""
    steps = tuple(_in_hours(step) for step in PHASE4.steps)
    escalation = PHASE4.escalation.model_copy(update={"p1_rolls_back_after": HOUR})
    update = {"steps": steps, "notify": (), "escalation": escalation, "blind_severity": Severity.P2}
    return PHASE4.model_copy(update=update)


def with_blindness(plan: RolloutPlan) -> RolloutPlan:
    """Pause at a blind red flag, as a plan does by default."""
    return plan.model_copy(update={"blind_severity": Severity.P1})


def _in_hours(step: Step) -> Step:
    approval = step.approval and step.approval.model_copy(update={"expires_after": 12 * HOUR})
    items = [item for item in step.checklist if item.check != "attested"]
    held = {"at_least": HOUR}
    return step.model_copy(
        update={
            "interval": HOUR,
            "hold": HOUR,
            "stable_for": 0 * HOUR,
            "deadline": 3 * HOUR,
            "gates": _without_statistical_gates(step.gates),
            "red_flags": _without_statistical_gates(step.red_flags),
            "approval": approval,
            "checklist": tuple(i.model_copy(update=held) if i.at_least else i for i in items),
        }
    )


def _without_statistical_gates(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if gate.kind is not GateKind.STATISTICAL)


@dataclass(frozen=True)
class FaultPoint:
    """A fault, what happens, and how it must end: the status, and every percentage on the way."""

    fault: str
    actions: tuple[ScriptedAction, ...]
    expected_end: Status | str
    expected_percentages: tuple[float, ...]
    plan: Callable[[RolloutPlan], RolloutPlan] = lambda plan: plan
    unattended: bool = False

    def __str__(self) -> str:
        return self.fault

    def plan_in_hours(self) -> RolloutPlan:
        return self.plan(phase4_in_hours())


@dataclass
class PointResult:
    """The result of one point. ``runs`` are events and bytes of each run's history, when HEALTHY."""

    end: str
    percentages: tuple[float, ...]
    actions_left: int = 0
    history_sizes: tuple[tuple[int, int], ...] = ()


def fault_point(
    fault: str,
    *acts: ScriptedAction,
    expected_end: Status | str,
    expected_percentages: Sequence[float],
    **more: Any,  # noqa: ANN401  what is left of a Point
) -> FaultPoint:
    return FaultPoint(fault, acts, expected_end, tuple(expected_percentages), **more)


def when_live(step: str, *deeds: CaseMutation, hours: float = 0) -> ScriptedAction:
    """When ``step`` has been live for so long."""
    return _scripted_action(
        lambda s: s.clock.started_at is not None and s.live.name == step, deeds, hours
    )


def when_waiting(step: str, *deeds: CaseMutation, hours: float = 0) -> ScriptedAction:
    """While ``step`` waits to start and the one before is live, with readings to approve on."""
    return _scripted_action(
        lambda s: _is_waiting_to_start(s, step) and s.checks.latest is not None, deeds, hours
    )


def _is_waiting_to_start(state: State, step: str) -> bool:
    return state.step is not None and state.step.name == step and state.clock.started_at is None


def when_status(status: Status, *deeds: CaseMutation, hours: float = 0) -> ScriptedAction:
    """When the rollout has had this status for so long."""
    return _scripted_action(lambda s: s.status is status, deeds, hours)


def after_previous(*deeds: CaseMutation, hours: float = 0) -> ScriptedAction:
    """So long after the act before, at the next turn of the watch at the earliest."""
    return _scripted_action(lambda _: True, deeds, hours)


def _scripted_action(
    when: Callable[[State], bool], deeds: tuple[CaseMutation, ...], hours: float
) -> ScriptedAction:
    async def do(scene: RolloutCase) -> None:
        for deed in deeds:
            await deed(scene)

    return ScriptedAction(when, do, hours * HOUR)


def set_readings(**values: MetricValue) -> CaseMutation:
    """From now on these metrics read so (None: no data; an error: they can't be asked for)."""

    async def do(scene: RolloutCase) -> None:
        scene.metrics.values.update(values)

    return do


def set_slopes(**per_hour: float) -> CaseMutation:
    async def do(scene: RolloutCase) -> None:
        scene.metrics.slopes.update(per_hour)

    return do


def restore_health() -> CaseMutation:
    """Everything is measured, and well, again."""

    async def do(scene: RolloutCase) -> None:
        scene.metrics.values.update(HEALTHY_READINGS)
        scene.metrics.slopes.clear()
        scene.metrics.error, scene.metrics.age_seconds = None, 1.0
        scene.metrics.samples = 10_000.0
        scene.flags.broken = scene.ledger.broken = None
        scene.flags.confirmation_errors.clear()

    return do


def set_attributes(port: str, **values: object) -> CaseMutation:
    """Set attributes of a port of the scene, or (``"case"``) of itself."""

    async def do(scene: RolloutCase) -> None:
        place = scene if port == "case" else getattr(scene, port)
        for name, value in values.items():
            assert hasattr(place, name), name
            setattr(place, name, value)

    return do


async def run_points(points: list[FaultPoint], batch: RolloutBatch) -> dict[str, PointResult]:
    """Play every point side by side, on one server; give what became of each."""
    scenes = {}
    async with time_skipping_server() as env:
        for one in points:
            scene = RolloutCase(one.plan_in_hours(), PlanMetrics(PHASE4, HEALTHY_READINGS))
            scene.actions, scene.unattended = list(one.actions), one.unattended
            scenes[one.fault] = scene
            await batch.start(env, f"{len(scenes)}", scene)
        await batch.run_to_end(env)
        well = [one.fault for one in points if one.expected_end is Status.HEALTHY]
        runs = {fault: await _history_sizes(env.client, scenes[fault]) for fault in well}
    return {
        fault: PointResult(
            scene.end, tuple(scene.percentages), len(scene.actions), runs.get(fault, ())
        )
        for fault, scene in scenes.items()
    }


async def _history_sizes(client: Client, case: RolloutCase) -> tuple[tuple[int, int], ...]:
    """Events and bytes of each run of a rollout, the last first."""
    assert case.handle is not None
    handle, sizes = case.handle, []
    while True:
        history = await handle.fetch_history()
        sizes.append((len(history.events), sum(event.ByteSize() for event in history.events)))
        began = history.events[0].workflow_execution_started_event_attributes
        if not began.continued_execution_run_id:
            return tuple(sizes)
        run_id = began.continued_execution_run_id
        handle = client.get_workflow_handle_for(RolloutWorkflow.run, handle.id, run_id=run_id)


def run_selected_points(
    request: pytest.FixtureRequest, test: str, points: Sequence[FaultPoint]
) -> dict[str, PointResult]:
    """Play the points whose case of ``test`` this session asks for."""
    wanted = {item.name for item in request.session.items}
    asked = [one for one in points if f"{test}[{one}]" in wanted]
    return run_blocking(lambda: run_points(asked, RolloutBatch()))
