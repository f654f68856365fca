"""The processor time of a check beside its queries, and the size of the evidence that it carries.

A check of the shipped plan at 50 % has 14 gates, three of them statistical. A look of its watch has six
more. Answers come from memory, so what is measured is our own: queries are written, blocks are weighed,
verdicts and their sentences are made, and the evidence is rounded for the next check.

    .venv/bin/python benchmarks/check_cost.py
"""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, `make bench` does

from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator
from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState
from sluice.rollout.analysis.verdict import Verdict
from sluice.rollout.plan.alpha_budget import RuleGroup, gate_alpha, statistical_gates
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import RolloutPlan

PLAN = Path(__file__).parents[1] / "plans" / "phase4.yaml"
CPU_MS_MAX, STATE_BYTES_MAX = 5.0, 2048
ROUNDS = 8
"""The checks are measured in so many rounds; the quietest counts, as the machine does other work."""
LIVE_SINCE = datetime(2026, 1, 5, 8, tzinfo=UTC)
USERS, WEIGHT = 100.0, 2.2
INCREASES = {
    "failed_at_risk": 4000.0,
    "failed": 20.0,
    "slow_at_risk": 2500.0,
    "slow": 10.0,
    "reward_count": 60.0,
    "reward_sum": 36.0,
    "reward_squares": 25.0,
    "new": 40.0,
}
MEANS = {"log_time": (105.3, 0.9), "reward": (4.6, 0.25)}


@dataclass(frozen=True)
class RememberedMetrics:
    """Answers of a sound rollout, each written once."""

    answers: dict[str, float]

    def query(self, promql: str, at: datetime) -> float | None:
        """See ``activities.contract.ports.MetricsProvider``."""
        return self.answers[promql]

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """See ``activities.contract.ports.CachedMetrics``."""
        if promql not in self.answers:
            self.answers[promql] = _answer(promql)
        return (self.answers[promql],)


def _answer(promql: str) -> float:
    counter = re.search(r"router_users_(mean_)?(\w+?)(_total)?\{", promql)
    if "count_over_time" in promql:
        return 1e6  # every scrape is there
    if "counted_since" in promql:
        return LIVE_SINCE.timestamp()
    if " offset " not in promql or counter is None:
        return 0.2
    if not counter[1]:
        return INCREASES[counter[2]]
    mean, spread = MEANS[counter[2]]
    label = re.search(r'sum="(\w+)"', promql)
    sums = {
        "weight": WEIGHT,
        "value": WEIGHT * mean,
        "square": WEIGHT**2 * (mean**2 + spread**2),
        "product": WEIGHT**2 * mean,
        "weight_square": WEIGHT**2,
    }
    return USERS * sums[label[1]] if label else 0.0


@dataclass(frozen=True)
class CheckCost:
    """The processor milliseconds of one check in the quietest round, and the bytes of the largest track."""

    milliseconds: float
    state_bytes: int


async def measure_checks(
    plan: RolloutPlan, group: RuleGroup, gates: Sequence[Gate], checks: int
) -> CheckCost:
    """Judge these gates again and again, as often as the shortest window of the statistical ones ends."""
    statistical = statistical_gates(tuple(gates))
    alphas = {gate.name: gate_alpha(plan, (group, "ramp-50"), gate) for gate in statistical}
    baseline = {
        gate.metric: Reading(metric=gate.metric, cohort="control", at=LIVE_SINCE, value=0.3)
        for gate in plan.baselines
    }
    every, metrics = min(gate.window for gate in statistical), RememberedMetrics({})
    tracks: dict[str, SequentialState] = {}
    rounds = [0.0] * ROUNDS
    for number in range(1, checks + 1):
        began = time.process_time()
        evidence = EvidenceContext(
            since=LIVE_SINCE, share=0.5, alphas=alphas, sequential_states=tracks
        )
        context = EvaluationContext(plan.metrics, baseline, evidence, plan.stale_after, LIVE_SINCE)
        evaluator = GateEvaluator(metrics, LIVE_SINCE + number * every, context)
        _require_weighed(await evaluator.evaluate(gates))
        tracks = evaluator.sequential_states
        rounds[(number - 1) * ROUNDS // checks] += time.process_time() - began
    largest = max(len(track.model_dump_json()) for track in tracks.values())
    return CheckCost(1000 * min(rounds) * ROUNDS / checks, largest)


def _require_weighed(verdicts: Sequence[Verdict]) -> None:
    """Raise unless every gate was measured: a verdict without data costs nothing."""
    for verdict in verdicts:
        if verdict.is_unmeasured or "no data" in verdict.reason:
            raise RuntimeError(f"the benchmark's answers do not fit: {verdict.reason}")


def main() -> int:
    """Print the figures; return 1 when a check or a track is beyond its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=400)
    checks = parser.parse_args().checks
    plan = load_plan(PLAN)
    step = plan.step("ramp-50")
    is_met = True
    looks: tuple[tuple[str, RuleGroup, tuple[Gate, ...]], ...] = (
        ("a check", "gates", tuple(step.gates)),
        ("a look of the watch", "red_flags", tuple(step.red_flags)),
        ("its statistical red flags", "red_flags", statistical_gates(tuple(step.red_flags))),
    )
    for title, group, gates in looks:
        cost = asyncio.run(measure_checks(plan, group, gates, checks))
        statistical = len(statistical_gates(gates))
        limit = f" (at most {CPU_MS_MAX:g})" if group == "gates" else ""
        print(
            f"{title}: {len(gates)} gates, {statistical} of them statistical: "
            f"{cost.milliseconds:.2f} ms of CPU beside the queries{limit}; "
            f"largest track {cost.state_bytes:,} bytes (at most {STATE_BYTES_MAX:,})"
        )
        is_met &= cost.state_bytes <= STATE_BYTES_MAX
        is_met &= group != "gates" or cost.milliseconds <= CPU_MS_MAX
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
