"""Rollouts that exclude each other never treat a part of the users at once; one may follow another."""

from datetime import UTC, datetime

import pytest

from activities.adapters.related_rollouts import RelatedRollouts
from activities.contract.errors import FlagRefusedError
from activities.contract.models import LedgerEntry
from activities.doubles.flags import MemoryFlags
from activities.doubles.ledger import MemoryLedger
from sluice.rollout.engine.flag_target import FlagWrite
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan

AT = datetime(2026, 11, 30, tzinfo=UTC)


def write(flag: str, percentage: float, *excludes: str) -> FlagWrite:
    return FlagWrite(
        environment="default",
        flag=flag,
        run_id=f"run-{flag}",
        sequence=round(percentage) + 1,
        actor="sluice",
        reason="step",
        percentage=percentage,
        create=True,
        excludes=excludes,
    )


def ended(ledger_id: str, environment: str, ending: str) -> LedgerEntry:
    body = f'{{"state": {{"plan": {{"environment": "{environment}"}}, "status": "{ending}"}}, "ending": "{ending}"}}'
    return LedgerEntry(rollout_id=ledger_id, key=ledger_id, kind="state", at=AT, body=body)


async def test_the_store_refuses_to_raise_beside_an_excluded_flag() -> None:
    """Two rollouts may pass their checks at the same moment; only one write goes through."""
    flags = MemoryFlags()
    await flags.apply(write("search", 25))
    with pytest.raises(FlagRefusedError, match="excludes 'search', which is at 25 %"):
        await flags.apply(write("ranking", 5, "search"))
    await flags.apply(write("ranking", 0, "search"))
    await flags.apply(write("search", 100))
    receipt = await flags.apply(write("ranking", 5, "search"))
    assert receipt.percentage == 5


async def test_an_excluded_flag_blocks_while_it_treats_a_part() -> None:
    flags = MemoryFlags()
    related = RelatedRollouts(flags, MemoryLedger())
    assert (await related.check_excluded("default", ("search",))).passed
    await flags.apply(write("search", 25))
    blocked = await related.check_excluded("default", ("other", "search"))
    assert (blocked.passed, blocked.reason) == (False, "search is at 25 %")
    await flags.kill("default", "search", "broken")
    assert (await related.check_excluded("default", ("search",))).passed


async def test_the_last_rollout_of_the_environment_must_have_ended_healthy() -> None:
    """Its id is the evidence."""
    ledger = MemoryLedger()
    related = RelatedRollouts(MemoryFlags(), ledger)
    unknown = await related.check_required("production", ("search@staging",))
    assert (unknown.passed, "no rollout of search in staging" in unknown.reason) == (False, True)
    await ledger.append(ended("rollout-search/1", "staging", "Healthy"))
    await ledger.append(ended("rollout-search/2", "production", "Aborted"))
    found = await related.check_required("production", ("search@staging",))
    assert found.passed
    assert "rollout-search/1" in found.reason
    assert not (await related.check_required("production", ("search",))).passed
    await ledger.append(ended("rollout-search/3", "staging", "Aborted"))
    assert not (await related.check_required("production", ("search@staging",))).passed


PLAN = """
name: shop
flag: shop
environment: production
excludes: [search]
after: [login, {{flag: {flag}, environment: staging}}]
metrics:
  errors: {{query: 'sum(rate(e[$window]))', unit: ratio}}
steps:
  - {{name: dark, title: Nobody, percentage: 0, interval: 1m, hold: 1h, deadline: 2h,
     gates: [{{metric: errors, cohort: all, threshold: 1%, window: 5m}}]}}
  - {{name: ramp, title: Ramp, percentage: 5, rollback_to: dark, interval: 1m, hold: 1h, deadline: 2h,
     gates: [{{metric: errors, cohort: all, threshold: 1%, window: 5m}}]}}
"""


def plan(flag: str = "shop") -> RolloutPlan:
    return parse_plan(PLAN.format(flag=flag))


def test_steps_that_expose_users_wait_for_related_rollouts() -> None:
    one = plan()
    assert one.checklist_of(one.steps[0]) == ()
    items = {item.check: item.names for item in one.checklist_of(one.steps[1])}
    assert items == {"excludes": ("search",), "after": ("login@production", "shop@staging")}


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("excludes: [search]", "excludes: [shop]", "own flag"),
        ("environment: staging}", "environment: production}", "own rollout"),
    ],
)
def test_a_plan_does_not_wait_for_itself(before: str, after: str, problem: str) -> None:
    text = PLAN.format(flag="shop")
    assert text.count(before) == 1
    with pytest.raises(PlanError, match=problem):
        parse_plan(text.replace(before, after))
