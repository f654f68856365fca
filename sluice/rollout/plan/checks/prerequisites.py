"""Mistakes in what a plan asks of people and of the calendar."""

from collections.abc import Iterator

from sluice.rollout.plan.freeze_windows import covers_whole_week
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import Problem


def check_prerequisites(plan: RolloutPlan) -> Iterator[Problem]:
    """Yield the checklist items and freezes that share a name, or never let anything through."""
    yield from _check_items(plan)
    yield from _check_related_rollouts(plan)
    names = [freeze.name for freeze in plan.freezes]
    for f, name in enumerate(names):
        if name in names[:f]:
            yield ("freezes", f, "name"), f"{name!r} is used twice; each freeze needs its own name"
    if covers_whole_week(plan.freezes):
        yield ("freezes",), "leave no moment of the week to raise in; shorten one"


def _check_related_rollouts(plan: RolloutPlan) -> Iterator[Problem]:
    if plan.flag in plan.excludes:
        yield ("excludes",), f"names the plan's own flag {plan.flag!r}, so nothing could be raised"
    for i, prerequisite in enumerate(plan.after):
        if (prerequisite.flag, prerequisite.environment or plan.environment) == (
            plan.flag,
            plan.environment,
        ):
            yield (
                ("after", i),
                f"waits for the plan's own rollout {plan.flag!r}; name another environment",
            )


def _check_items(plan: RolloutPlan) -> Iterator[Problem]:
    seen: set[str] = set()
    for s, step in enumerate(plan.steps):
        for i, item in enumerate(step.checklist):
            place = ("steps", s, "checklist", i)
            if item.name in seen:
                yield (*place, "name"), f"{item.name!r} is used twice; attest names one item"
            seen.add(item.name)
            if item.check in ("baseline", "metrics") and not plan.baselines:
                yield (*place, "check"), "the plan has no baselines; add some or drop the item"
