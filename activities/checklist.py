"""The checklist's machine: looks at every item it can look at, and says what it saw."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import activity

from activities.checklist_models import Found, ItemsRequest, ItemsResult
from activities.errors import EffectError
from activities.heartbeat import heartbeating
from activities.ports import Metrics, Site
from activities.sampling import Known, Sampler
from rollout.checklist import Answer, Item
from rollout.verdict import Outcome

ITEM_SECONDS_MAX = 15.0


@dataclass(frozen=True)
class ChecklistActivities:
    """Only looks; the flags it raises are throw-away ones of its own."""

    metrics: Metrics
    site: Site

    @activity.defn(name="check_items")
    async def check_items(self, request: ItemsRequest) -> ItemsResult:
        """Answer every item, side by side. What can't be looked at is not done, with the reason."""
        async with heartbeating():
            answers = await asyncio.gather(*(self._answer(item, request) for item in request.items))
        return ItemsResult(answers=tuple(answers))

    async def _answer(self, item: Item, request: ItemsRequest) -> Answer:
        try:
            async with asyncio.timeout(ITEM_SECONDS_MAX):
                found = await self._look(item, request)
        except EffectError as error:
            found = Found(passed=False, because=str(error))
        except TimeoutError:
            found = Found(passed=False, because=f"no answer within {ITEM_SECONDS_MAX:g} s")
        return Answer(item=item.name, passed=found.passed, because=found.because, at=request.at)

    async def _look(self, item: Item, request: ItemsRequest) -> Found:
        site, environment = self.site, request.environment
        looks: dict[str, Callable[[], Awaitable[Found]]] = {
            "stores": lambda: site.stores(environment),
            "targets": lambda: site.targets(environment),
            "dashboards": lambda: site.dashboards(item.names),
            "alerts": lambda: site.alerts(item.names),
            "flags": lambda: site.flags(environment),
            "drill": lambda: site.drill(environment, item.limit.total_seconds()),
        }
        look = looks.get(item.check)
        return await look() if look else await self._measure(item, request)

    async def _measure(self, item: Item, request: ItemsRequest) -> Found:
        known = Known(request.metrics, request.baseline)
        sampler = Sampler(self.metrics, request.at, known)
        if item.gate is not None:
            (verdict,) = await sampler.verdicts((item.gate,))
            passed = verdict.outcome is Outcome.SUCCESSFUL
            return Found(passed=passed, because=verdict.because)
        readings = await sampler.readings(request.baselines)
        errors = [f"{one.metric}: {one.error}" for one in readings if one.error]
        well = f"Prometheus answers the queries of {len(readings)} baselines"
        return Found(passed=not errors, because="; ".join(errors) or well)
