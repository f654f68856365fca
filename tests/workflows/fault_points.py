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

from rehearsal.readings import Answer, PlannedMetrics
from rehearsal.skipping import time_skipping
from rollout.gate import Gate, GateKind
from rollout.plan import RolloutPlan, Step
from rollout.state import State, Status
from tests.conftest import run_blocking
from tests.rehearsal_plan import PHASE4
from tests.workflows.scene import Act, Scene
from tests.workflows.stage import Stage
from workflows.rollout_workflow import RolloutWorkflow

HOUR = timedelta(hours=1)
HEALTHY_READINGS: dict[str, Answer] = {
    "latency_p50": 0.2,
    "latency_p90": 0.5,
    "latency_p99": 0.9,
    "error_rate": 0.004,
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
}
Deed = Callable[[Scene], Awaitable[None]]


def quick_phase4() -> RolloutPlan:
    """The guide's plan in hours."""
    steps = tuple(_quick(step) for step in PHASE4.steps)
    escalation = PHASE4.escalation.model_copy(update={"p1_rolls_back_after": HOUR})
    return PHASE4.model_copy(update={"steps": steps, "notify": (), "escalation": escalation})


def _quick(step: Step) -> Step:
    approval = step.approval and step.approval.model_copy(update={"expires_after": 12 * HOUR})
    items = [item for item in step.checklist if item.check != "attested"]
    held = {"at_least": HOUR}
    return step.model_copy(
        update={
            "interval": HOUR,
            "hold": HOUR,
            "stable_for": 0 * HOUR,
            "deadline": 3 * HOUR,
            "gates": _fixed(step.gates),
            "red_flags": _fixed(step.red_flags),
            "approval": approval,
            "checklist": tuple(i.model_copy(update=held) if i.at_least else i for i in items),
        }
    )


def _fixed(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if gate.kind is not GateKind.STATISTICAL)


@dataclass(frozen=True)
class Point:
    """A fault, what happens, and how it must end: the status, and every percentage on the way."""

    fault: str
    acts: tuple[Act, ...]
    ends: Status | str
    trail: tuple[float, ...]
    plan: Callable[[RolloutPlan], RolloutPlan] = lambda plan: plan
    absent: bool = False

    def __str__(self) -> str:
        return self.fault

    def quick(self) -> RolloutPlan:
        return self.plan(quick_phase4())


@dataclass
class Played:
    """What became of one point. ``runs``: events and bytes of each run's history, where it is HEALTHY."""

    end: str
    trail: tuple[float, ...]
    unfinished: int = 0
    runs: tuple[tuple[int, int], ...] = ()


def point(
    fault: str,
    *acts: Act,
    ends: Status | str,
    trail: Sequence[float],
    **more: Any,  # noqa: ANN401  what is left of a Point
) -> Point:
    return Point(fault, acts, ends, tuple(trail), **more)


def at(step: str, *deeds: Deed, hours: float = 0) -> Act:
    """When ``step`` has been live for so long."""
    return _act(lambda s: s.step_started_at is not None and s.live_step == step, deeds, hours)


def before(step: str, *deeds: Deed, hours: float = 0) -> Act:
    """While ``step`` waits to start and the one before is live, with readings to approve on."""
    return _act(lambda s: _waits(s, step) and s.evidence is not None, deeds, hours)


def _waits(state: State, step: str) -> bool:
    return state.step is not None and state.step.name == step and state.step_started_at is None


def once(status: Status, *deeds: Deed, hours: float = 0) -> Act:
    """When the rollout has had this status for so long."""
    return _act(lambda s: s.status is status, deeds, hours)


def then(*deeds: Deed, hours: float = 0) -> Act:
    """So long after the act before, at the next turn of the watch at the earliest."""
    return _act(lambda _: True, deeds, hours)


def _act(when: Callable[[State], bool], deeds: tuple[Deed, ...], hours: float) -> Act:
    async def do(scene: Scene) -> None:
        for deed in deeds:
            await deed(scene)

    return Act(when, do, hours * HOUR)


def reads(**values: Answer) -> Deed:
    """From now on these metrics read so (None: no data; an error: they can't be asked for)."""

    async def do(scene: Scene) -> None:
        scene.metrics.values.update(values)

    return do


def grows(**per_hour: float) -> Deed:
    async def do(scene: Scene) -> None:
        scene.metrics.slopes.update(per_hour)

    return do


def well() -> Deed:
    """Everything is measured, and well, again."""

    async def do(scene: Scene) -> None:
        scene.metrics.values.update(HEALTHY_READINGS)
        scene.metrics.slopes.clear()
        scene.metrics.down, scene.metrics.age_seconds = None, 1.0
        scene.metrics.samples = 10_000.0
        scene.flags.broken = scene.ledger.broken = None
        scene.flags.disobeyed = False

    return do


def sets(port: str, **values: object) -> Deed:
    """Set attributes of a port of the scene, or (``"scene"``) of itself."""

    async def do(scene: Scene) -> None:
        place = scene if port == "scene" else getattr(scene, port)
        for name, value in values.items():
            setattr(place, name, value)

    return do


async def play(points: list[Point], stage: Stage) -> dict[str, Played]:
    """Play every point side by side, on one server; give what became of each."""
    scenes = {}
    async with time_skipping() as env:
        for one in points:
            scene = Scene(one.quick(), PlannedMetrics(PHASE4, HEALTHY_READINGS))
            scene.acts, scene.absent = list(one.acts), one.absent
            scenes[one.fault] = scene
            await stage.start(env, f"{len(scenes)}", scene)
        await stage.play(env)
        well = [one.fault for one in points if one.ends is Status.HEALTHY]
        runs = {fault: await _runs(env.client, scenes[fault]) for fault in well}
    return {
        fault: Played(scene.end, tuple(scene.trail), len(scene.acts), runs.get(fault, ()))
        for fault, scene in scenes.items()
    }


async def _runs(client: Client, scene: Scene) -> tuple[tuple[int, int], ...]:
    """Events and bytes of each run of a rollout, the last first."""
    assert scene.handle is not None
    handle, sizes = scene.handle, []
    while True:
        history = await handle.fetch_history()
        sizes.append((len(history.events), sum(event.ByteSize() for event in history.events)))
        began = history.events[0].workflow_execution_started_event_attributes
        if not began.continued_execution_run_id:
            return tuple(sizes)
        run_id = began.continued_execution_run_id
        handle = client.get_workflow_handle_for(RolloutWorkflow.run, handle.id, run_id=run_id)


def play_wanted(
    request: pytest.FixtureRequest, test: str, points: Sequence[Point]
) -> dict[str, Played]:
    """Play the points whose case of ``test`` this session asks for."""
    wanted = {item.name for item in request.session.items}
    asked = [one for one in points if f"{test}[{one}]" in wanted]
    return run_blocking(lambda: play(asked, Stage()))
