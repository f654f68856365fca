"""Latency from histogram buckets: is a slow request more likely with treatment?

A ``CountTest`` of the requests above each edge. Such counts are exact, where an interpolated p99 of
60 requests is the slowest one's bucket. Stochastic order of two samples by betting: cf. Howard and
Ramdas, "Sequential estimation of quantiles" (Bernoulli 2022).
"""

import math
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.statistic import Margin
from sluice.rollout.analysis.stats.bucket_edges import EdgesState, EdgesTest
from sluice.rollout.analysis.stats.counts import CountBlock, Counts, CountState, CountTest
from sluice.rollout.analysis.stats.result import format_count

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


LatencyTailState = EdgesState[CountState]


class LatencyTailTest(EdgesTest[CountState, CountBlock]):
    """Are slow requests more than ``margin`` times as likely (in odds), at any of the edges?"""

    margin: Margin = 1.5

    def edge_test(self, edge: float) -> CountTest:
        name = f"requests slower than {edge:g} s"
        return CountTest(name=name, margin=self.margin, bets=self.bets, prior_rate=0.05)

    def start(self) -> LatencyTailState:
        return LatencyTailState(edges=tuple(self.edge_test(edge).start() for edge in self.edges))

    def update(self, state: LatencyTailState, *blocks: LatencyTailBlock) -> LatencyTailState:
        """Bet at each edge.

        Raises:
            ValueError: when a block's number of edges is not the test's.
        """
        return self.update_edges(
            state, [_split_by_edge(block) for block in blocks], LatencyTailState
        )

    def facts(self, state: EdgesState[CountState]) -> str:
        edge, best = self.strongest_edge(state)
        requests = format_count(best.treatment.units)
        return f"{self.name} of {requests} requests: {self.edge_test(edge).facts(best)}"


def _split_by_edge(block: LatencyTailBlock) -> list[CountBlock]:
    t, c = block.treatment, block.control
    return [
        CountBlock(
            treatment=Counts(events=treatment_slower, units=t.requests),
            control=Counts(events=control_slower, units=c.requests),
        )
        for treatment_slower, control_slower in zip(t.slower, c.slower, strict=True)
    ]
