"""The automated checks of a step's checklist."""

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
    """Changes nothing but throw-away flags of its own."""

    metrics: MetricsProvider
    probe: EnvironmentProbe

    @activity.defn(name="check_items")
    async def check_items(self, request: ChecklistRequest) -> ChecklistResult:
        """Evaluate every item, side by side. One that can't be evaluated is not done, with the reason."""
        async with heartbeating():
            results = await asyncio.gather(
                *(self._check_item(item, request) for item in request.items)
            )
        return ChecklistResult(results=tuple(results))

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
        probe, environment = self.probe, request.environment
        probes: dict[str, Callable[[], Awaitable[ProbeResult]]] = {
            "stores": lambda: probe.check_stores(environment),
            "targets": lambda: probe.check_scrape_targets(environment, request.at, item.names),
            "dashboards": lambda: probe.check_dashboards(item.names),
            "alerts": lambda: probe.check_alert_rules(item.names),
            "flags": lambda: probe.check_flag_propagation(environment),
            "excludes": lambda: probe.check_excluded_flags(environment, item.names),
            "after": lambda: probe.check_required_rollouts(environment, item.names),
            "drill": lambda: probe.run_rollback_drill(environment, item.limit.total_seconds()),
        }
        run_probe = probes.get(item.check)
        return await run_probe() if run_probe else await self._measure_item(item, request)

    async def _measure_item(self, item: ChecklistItem, request: ChecklistRequest) -> ProbeResult:
        context = EvaluationContext(
            request.metrics, request.baseline, stale_after=request.stale_after
        )
        evaluator = GateEvaluator(self.metrics, request.at, context)
        if item.gate is not None:
            (verdict,) = await evaluator.evaluate((item.gate,))
            passed = verdict.outcome is Outcome.SUCCESSFUL
            return ProbeResult(passed=passed, reason=verdict.reason)
        readings = await evaluator.measure(request.baseline_gates)
        errors = [f"{reading.metric}: {reading.error}" for reading in readings if reading.error]
        success = f"Prometheus answers the queries of {len(readings)} baselines"
        return ProbeResult(passed=not errors, reason="; ".join(errors) or success)
