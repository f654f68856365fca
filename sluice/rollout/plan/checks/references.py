"""TODO."""

from collections.abc import Iterator

from sluice.rollout.analysis.gate import GateKind, template_problem
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import Problem


def check_references(plan: RolloutPlan) -> Iterator[Problem]:
    """Mistakes that no single field shows: names that point nowhere, an order that can't be."""
    if not plan.steps:
        yield ("steps",), "must hold at least one step"
    yield from _check_step_names(plan)
    yield from _check_metric_templates(plan)
    yield from _check_gates(plan)
    yield from _check_order(plan)
    yield from _check_baseline_order(plan)


def _check_step_names(plan: RolloutPlan) -> Iterator[Problem]:
    seen: dict[str, None] = {}  # a set that keeps the order
    for s, step in enumerate(plan.steps):
        if step.name in seen:
            yield ("steps", s, "name"), f"{step.name!r} is used twice; each step needs its own name"
        if step.rollback_to is not None and step.rollback_to not in seen:
            yield (
                ("steps", s, "rollback_to"),
                f"{step.rollback_to!r} is no earlier step; earlier ones: {', '.join(seen) or 'none'}",
            )
        seen[step.name] = None
        for which in ("gates", "red_flags"):
            names = [gate.name for gate in getattr(step, which)]
            for g, name in enumerate(names):
                if name in names[:g]:
                    yield (
                        ("steps", s, which, g),
                        f"{name!r} is used twice; set name: on one of them",
                    )


def _check_metric_templates(plan: RolloutPlan) -> Iterator[Problem]:
    for name, metric in plan.metrics.items():
        for field in ("query", "samples"):
            if problem := template_problem(getattr(metric, field) or ""):
                yield ("metrics", name, field), problem


def _check_gates(plan: RolloutPlan) -> Iterator[Problem]:
    known = ", ".join(sorted(plan.metrics))
    recorded = {gate.metric for gate in plan.baselines}
    for b, gate in enumerate(plan.baselines):
        if gate.metric not in plan.metrics:
            yield (
                ("baselines", b, "metric"),
                f"{gate.metric!r} is not under metrics; known: {known}",
            )
    for place, gate in plan.rules():
        if gate.metric not in plan.metrics:
            yield (*place, "metric"), f"{gate.metric!r} is not under metrics; known: {known}"
        elif gate.kind is GateKind.BASELINE and gate.metric not in recorded:
            yield (*place, "kind"), f"{gate.metric!r} has no recorded baseline; add it to baselines"
        elif gate.min_samples and plan.metrics[gate.metric].samples is None:
            yield (
                (*place, "min_samples"),
                f"metric {gate.metric!r} has no samples query to count with",
            )


def _check_order(plan: RolloutPlan) -> Iterator[Problem]:
    percentage, stage = 0.0, 0
    for s, step in enumerate(plan.steps):
        if step.stage < stage:
            yield ("steps", s, "stage"), f"stage {step.stage} comes after stage {stage}"
        if step.percentage is not None and step.percentage < percentage:
            yield ("steps", s, "percentage"), f"falls from {percentage:g} to {step.percentage:g}"
        if step.percentage and s and step.rollback_to is None:
            yield ("steps", s, "rollback_to"), "a step that exposes users needs one to go back to"
        percentage, stage = step.percentage or percentage, step.stage


def _check_baseline_order(plan: RolloutPlan) -> Iterator[Problem]:
    recorded_at = next((s for s, step in enumerate(plan.steps) if step.record_baseline), None)
    for place, gate in plan.rules():
        if gate.kind is not GateKind.BASELINE:
            continue
        if recorded_at is None or int(place[1]) <= recorded_at:
            yield (*place, "kind"), "compares with the baseline: no earlier step records one"
