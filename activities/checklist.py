"""The checklist's machine: looks at every item it can look at, and says what it saw."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import activity

from activities.contract.errors import EffectError
from activities.contract.heartbeat import heartbeating
from activities.contract.models import ChecklistRequest, ChecklistResult, ProbeResult
from activities.contract.ports import EnvironmentProbe, MetricsProvider
from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.plan.checklist import ChecklistItem, ItemResult

ITEM_SECONDS_MAX = 15.0


@dataclass(frozen=True)
class ChecklistActivities:
    """Only looks; the flags it raises are throw-away ones of its own."""

    metrics: MetricsProvider
    probe: EnvironmentProbe

    @activity.defn(name="check_items")
    async def check_items(self, request: ChecklistRequest) -> ChecklistResult:
        """Answer every item, side by side. What can't be looked at is not done, with the reason."""
        async with heartbeating():
            answers = await asyncio.gather(
                *(self._check_item(item, request) for item in request.items)
            )
        return ChecklistResult(results=tuple(answers))

    async def _check_item(self, item: ChecklistItem, request: ChecklistRequest) -> ItemResult:
        try:
            async with asyncio.timeout(ITEM_SECONDS_MAX):
                result = await self._probe_item(item, request)
        except EffectError as error:
            result = ProbeResult(passed=False, reason=str(error))
        except TimeoutError:
            result = ProbeResult(passed=False, reason=f"no answer within {ITEM_SECONDS_MAX:g} s")
        return ItemResult(item=item.name, passed=result.passed, reason=result.reason, at=request.at)

    async def _probe_item(self, item: ChecklistItem, request: ChecklistRequest) -> ProbeResult:
        site, environment = self.probe, request.environment
        looks: dict[str, Callable[[], Awaitable[ProbeResult]]] = {
            "stores": lambda: site.check_stores(environment),
            "targets": lambda: site.check_scrape_targets(environment, request.at, item.names),
            "dashboards": lambda: site.check_dashboards(item.names),
            "alerts": lambda: site.check_alert_rules(item.names),
            "flags": lambda: site.check_flag_propagation(environment),
            "excludes": lambda: site.check_excluded_flags(environment, item.names),
            "after": lambda: site.check_required_rollouts(environment, item.names),
            "drill": lambda: site.run_rollback_drill(environment, item.limit.total_seconds()),
        }
        look = looks.get(item.check)
        return await look() if look else await self._measure_item(item, request)

    async def _measure_item(self, item: ChecklistItem, request: ChecklistRequest) -> ProbeResult:
        context = EvaluationContext(
            request.metrics, request.baseline, stale_after=request.stale_after
        )
        sampler = GateEvaluator(self.metrics, request.at, context)
        if item.gate is not None:
            (verdict,) = await sampler.evaluate((item.gate,))
            passed = verdict.outcome is Outcome.SUCCESSFUL
            return ProbeResult(passed=passed, reason=verdict.reason)
        readings = await sampler.measure(request.baseline_gates)
        errors = [f"{reading.metric}: {reading.error}" for reading in readings if reading.error]
        well = f"Prometheus answers the queries of {len(readings)} baselines"
        return ProbeResult(passed=not errors, reason="; ".join(errors) or well)
