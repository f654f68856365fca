"""Mistakes in what a plan asks of people and of the calendar."""

from collections.abc import Iterator

from rollout.freeze import never_thaws
from rollout.plan import RolloutPlan
from rollout.strict_yaml import Found


def people_check(plan: RolloutPlan) -> Iterator[Found]:
    """Checklist items and freezes that can't be told apart, or never let anything through."""
    yield from _items(plan)
    names = [freeze.name for freeze in plan.freezes]
    for f, name in enumerate(names):
        if name in names[:f]:
            yield ("freezes", f, "name"), f"{name!r} is used twice; each freeze needs its own name"
    if never_thaws(plan.freezes):
        yield ("freezes",), "leave no moment of the week to raise in; shorten one"


def _items(plan: RolloutPlan) -> Iterator[Found]:
    seen: set[str] = set()
    for s, step in enumerate(plan.steps):
        for i, item in enumerate(step.checklist):
            place = ("steps", s, "checklist", i)
            if item.name in seen:
                yield (*place, "name"), f"{item.name!r} is used twice; attest names one item"
            seen.add(item.name)
            if item.check in ("baseline", "metrics") and not plan.baselines:
                yield (*place, "check"), "the plan has no baselines; add some or drop the item"
