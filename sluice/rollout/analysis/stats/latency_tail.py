"""Latency from histogram buckets: is a slow request more likely with treatment?

A ``CountTest`` of the requests above each edge. Such counts are exact, where an interpolated p99 of
60 requests is the slowest one's bucket. Stochastic order of two samples by betting: cf. Howard and
Ramdas, "Sequential estimation of quantiles" (Bernoulli 2022).

Averaging the edges' e-values needs no independence (Vovk and Wang, "E-values", Annals of Statistics
2021). So a shift of everything and a tail of 3 % show alike, and no quantile has to be chosen.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.statistic import EDGES_SECONDS, Edges, Margin
from sluice.rollout.analysis.stats.counts import CountBlock, Counts, CountState, CountTest
from sluice.rollout.analysis.stats.e_process import BettingStrategy, log_average, log_sum
from sluice.rollout.analysis.stats.result import (
    SequentialResult,
    format_estimated_count,
    judge_evidence,
)

SlowerCounts = Annotated[
    tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1, max_length=16)
]


class LatencyTailCounts(Model):
    """Requests slower than each edge, and all requests."""

    slower: SlowerCounts
    requests: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _require_falling(self) -> Self:
        if any(later > earlier + 1e-6 for earlier, later in pairwise(self.slower)):
            raise ValueError(
                "slower must fall from edge to edge: it counts the requests above each"
            )
        return self

    @classmethod
    def from_buckets(
        cls, cumulative: dict[float, float], edges: tuple[float, ...]
    ) -> "LatencyTailCounts":
        """Read Prometheus's cumulative buckets (``le`` → increase; +Inf is the total).

        Raises:
            ValueError: when a bucket for an edge, or +Inf, is missing.
        """
        missing = [edge for edge in (*edges, math.inf) if edge not in cumulative]
        if missing:
            raise ValueError(f"the histogram has no bucket le={missing[0]:g}; choose its own edges")
        total = cumulative[math.inf]
        slower = tuple(max(total - cumulative[edge], 0.0) for edge in edges)
        return cls(slower=slower, requests=total)


class LatencyTailBlock(Model):
    treatment: LatencyTailCounts
    control: LatencyTailCounts


class LatencyTailState(Model):
    """One state for each edge, and the peak of their average."""

    edges: tuple[CountState, ...]
    log_peak: float = 0.0


class LatencyTailTest(Model):
    """Are slow requests more than ``margin`` times as likely (in odds), at any of the edges?"""

    name: str = "latency"
    edges: Edges = EDGES_SECONDS
    margin: Margin = 1.5
    bets: BettingStrategy = BettingStrategy(odds=(1.5, 3, 8))

    def edge_test(self, edge: float) -> CountTest:
        name = f"requests slower than {edge:g} s"
        return CountTest(name=name, margin=self.margin, bets=self.bets, prior_rate=0.05)

    def start(self) -> LatencyTailState:
        return LatencyTailState(edges=tuple(self.edge_test(edge).start() for edge in self.edges))

    def update(self, state: LatencyTailState, *blocks: LatencyTailBlock) -> LatencyTailState:
        """Bet at all edges at once: their tests differ in name only.

        Raises:
            ValueError: when a block's number of edges is not the test's.
        """
        rows: list[Sequence[CountBlock]] = [_split_by_edge(block) for block in blocks]
        if wrong := {len(row) for row in (state.edges, *rows)} - {len(self.edges)}:
            raise ValueError(f"counts at {wrong.pop()} edges; the test has {len(self.edges)}")
        states, log_es = self.edge_test(self.edges[0]).update_many(state.edges, rows)
        peak = float((log_sum(log_es) - math.log(len(self.edges))).max())
        return LatencyTailState(edges=tuple(states), log_peak=max(state.log_peak, peak))

    def log_e(self, state: LatencyTailState) -> float:
        count = len(self.edges)
        return log_average([edge.wealth.log_e for edge in state.edges], [1 / count] * count)

    def result(self, state: LatencyTailState, alpha: float) -> SequentialResult:
        evidence = (self.log_e(state), state.log_peak)
        return judge_evidence("worse", self.facts(state), evidence, alpha)

    def facts(self, state: LatencyTailState) -> str:
        """Return the numbers of the edge with the most evidence."""
        pairs = zip(self.edges, state.edges, strict=True)
        edge, strongest = max(pairs, key=lambda edge_state: edge_state[1].wealth.log_e)
        requests = format_estimated_count(strongest.treatment.units)
        return f"{self.name} of {requests} requests: {self.edge_test(edge).facts(strongest)}"


def _split_by_edge(block: LatencyTailBlock) -> list[CountBlock]:
    t, c = block.treatment, block.control
    return [
        CountBlock(
            treatment=Counts(events=treatment_slower, units=t.requests),
            control=Counts(events=control_slower, units=c.requests),
        )
        for treatment_slower, control_slower in zip(t.slower, c.slower, strict=True)
    ]
