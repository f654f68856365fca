"""Problems that no single field shows: names that point nowhere, an order that can't be."""

from collections.abc import Iterator

from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.plan.schema import PhaseSwitches, RolloutPlan, Step
from sluice.rollout.yaml_document import Problem

PERMANENT_PHASES = PhaseSwitches(enable_feature_flags=False, enable_online_learning=True)
"""The switches that give the treatment to everybody without a flag."""


def check_references(plan: RolloutPlan) -> Iterator[Problem]:
    """Yield the problems of names and of the order of steps."""
    if not plan.steps:
        yield ("steps",), "must hold at least one step"
    yield from _check_step_names(plan)
    yield from _check_gates(plan)
    yield from _check_order(plan)
    yield from _check_flag_deletion(plan)
    yield from _check_baseline_order(plan)


def _check_step_names(plan: RolloutPlan) -> Iterator[Problem]:
    earlier: dict[str, None] = {}  # a set that keeps the order
    for s, step in enumerate(plan.steps):
        if step.name in earlier:
            yield ("steps", s, "name"), f"{step.name!r} is used twice; each step needs its own name"
        for field, target in _rollback_targets(step):
            if target not in earlier:
                yield (
                    ("steps", s, field),
                    f"{target!r} is not an earlier step; earlier ones: {', '.join(earlier) or 'none'}",
                )
        earlier[step.name] = None
        yield from _check_rule_names(s, step)


def _rollback_targets(step: Step) -> Iterator[tuple[str, str]]:
    if step.rollback_to is not None:
        yield "rollback_to", step.rollback_to
    yield from (("rollback_choices", name) for name in step.rollback_choices)


def _check_rule_names(s: int, step: Step) -> Iterator[Problem]:
    for group in ("gates", "red_flags"):
        names = [gate.name for gate in getattr(step, group)]
        for g, name in enumerate(names):
            if name in names[:g]:
                yield ("steps", s, group, g), f"{name!r} is used twice; set name: on one of them"


def _check_gates(plan: RolloutPlan) -> Iterator[Problem]:
    metric_names = ", ".join(sorted(plan.metrics))
    recorded = {gate.metric for gate in plan.baselines}
    for b, gate in enumerate(plan.baselines):
        if gate.metric not in plan.metrics:
            yield (
                ("baselines", b, "metric"),
                f"{gate.metric!r} is not under metrics; known: {metric_names}",
            )
    for place, gate in plan.rules():
        if gate.metric not in plan.metrics:
            yield (*place, "metric"), f"{gate.metric!r} is not under metrics; known: {metric_names}"
        elif gate.kind is GateKind.BASELINE and gate.metric not in recorded:
            yield (*place, "kind"), f"{gate.metric!r} has no recorded baseline; add it to baselines"
        elif gate.min_samples and plan.metrics[gate.metric].samples is None:
            yield (
                (*place, "min_samples"),
                f"metric {gate.metric!r} has no samples query to count with",
            )


def _check_order(plan: RolloutPlan) -> Iterator[Problem]:
    percentage, stage = 0.0, 1
    for s, step in enumerate(plan.steps):
        if step.stage is not None and step.stage < stage:
            yield ("steps", s, "stage"), f"stage {step.stage} comes after stage {stage}"
        if step.percentage is not None and step.percentage < percentage:
            yield ("steps", s, "percentage"), f"falls from {percentage:g} to {step.percentage:g}"
        if step.percentage and s and step.rollback_to is None:
            yield ("steps", s, "rollback_to"), "a step that exposes users needs one to go back to"
        percentage, stage = step.percentage or percentage, step.stage or stage


def _check_flag_deletion(plan: RolloutPlan) -> Iterator[Problem]:
    phases, deleted = None, ""
    for s, step in enumerate(plan.steps):
        phases = step.phases or phases
        if deleted and (step.percentage is not None or step.whitelist):
            field = "percentage" if step.percentage is not None else "whitelist"
            yield ("steps", s, field), f"step {deleted!r} has deleted the flag; remove one of both"
        is_attested = phases is None and any(i.check == "attested" for i in step.checklist)
        if step.delete_flag and phases != PERMANENT_PHASES and not is_attested:
            yield (
                ("steps", s, "delete_flag"),
                "would take the treatment from everybody: a process that finds no flag uses its "
                "default; add phases: {enable_feature_flags: false, enable_online_learning: true} "
                "to this step (the router), attest in its checklist that the code no longer asks "
                "the flag (a service of your own), or leave the flag at 100",
            )
        deleted = step.name if step.delete_flag else deleted


def _check_baseline_order(plan: RolloutPlan) -> Iterator[Problem]:
    recorded_at = next((s for s, step in enumerate(plan.steps) if step.record_baseline), None)
    for place, gate in plan.rules():
        if gate.kind is not GateKind.BASELINE:
            continue
        if recorded_at is None or int(place[1]) <= recorded_at:
            yield (*place, "kind"), "compares with the baseline: no earlier step records one"
