"""Mistakes of a plan's statistical gates that no single field shows."""

from collections.abc import Iterator

from rollout.gate import Gate, GateKind
from rollout.plan import RolloutPlan
from rollout.promql import names
from rollout.statistic import AnyStatistic, Mean, Slow, Tail
from rollout.strict_yaml import Found, Place

CERTAIN = (0, 100)
_EDGE_MATCHER: dict[type, str] = {Tail: 'le=~"$le"', Slow: 'edge=~"$edge"'}


def cross_check_statistics(plan: RolloutPlan) -> Iterator[Found]:
    """Statistics that count nothing, gates that have none, gates that could never pass."""
    for name, metric in plan.metrics.items():
        if metric.statistic is not None:
            yield from _statistic(("metrics", name, "statistic"), metric.statistic)
    yield from _gates(plan)
    yield from _comparable(plan)


def _statistic(place: Place, statistic: AnyStatistic) -> Iterator[Found]:
    edge = _EDGE_MATCHER.get(type(statistic), "")
    for field in ("events", "units", "total", "squares", "users", "buckets"):
        template = getattr(statistic, field, None)
        if template is not None and (problem := _selector_problem(template, edge)):
            yield (*place, field), problem


def _selector_problem(template: str, edge: str) -> str:
    if "$cohort" not in template:
        return 'must select the cohort: write cohort=~"$cohort" among its matchers'
    if edge not in template:
        return f"must select the edge: write {edge} among its matchers"
    text = template.replace("$cohort", "x").replace("$le", "1").replace("$edge", "1")
    try:
        found = names(text).selectors
    except ValueError as error:
        return f"is no PromQL selector: {error}"
    if len(found) != 1 or "{" not in text or not text.rstrip().endswith("}"):
        return "must be one counter with matchers, without function, range or offset"
    return ""


def _gates(plan: RolloutPlan) -> Iterator[Found]:
    first: dict[str, Gate] = {}
    for place, gate in plan.rules():
        if gate.kind is not GateKind.STATISTICAL:
            continue
        metric = plan.metrics.get(gate.metric)
        if metric is not None and metric.statistic is None:
            yield (*place, "kind"), f"metric {gate.metric!r} has no statistic: to count with"
        elif (
            metric is not None and gate.claim == "sound" and not isinstance(metric.statistic, Mean)
        ):
            yield (*place, "claim"), "sound can be shown by a statistic with test: mean only"
        key = f"{place[2]}/{gate.name}"
        if _evidence(first.setdefault(key, gate)) != _evidence(gate):
            yield (
                (*place, "name"),
                f"{gate.name!r} is another statistical gate in an earlier step; evidence goes on "
                "from step to step by name: use the same gate, or another name",
            )


def _evidence(gate: Gate) -> tuple[str, object, str, float]:
    return gate.metric, gate.window, gate.claim, gate.weight


def _comparable(plan: RolloutPlan) -> Iterator[Found]:
    percentage = 0.0
    for s, step in enumerate(plan.steps):
        percentage = percentage if step.percentage is None else step.percentage
        if percentage not in CERTAIN and not step.delete_flag:
            continue
        for g, gate in enumerate(step.gates):
            if gate.kind is GateKind.STATISTICAL and not gate.dry_run:
                where = "after the flag is gone" if step.delete_flag else f"at {percentage:g} %"
                yield (
                    ("steps", s, "gates", g, "kind"),
                    f"there is no second cohort to compare with {where}, so it could never pass; "
                    "remove it here",
                )
