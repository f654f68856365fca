"""Latency from histogram buckets: is a slow request more likely with treatment?

A ``CountTest`` of the requests above each edge. Such counts are exact, where an interpolated p99 of
60 requests is the slowest one's bucket. Stochastic order of two samples by betting: cf. Howard and
Ramdas, "Sequential estimation of quantiles" (Bernoulli 2022).
"""

import math
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from rollout.gate import Model
from rollout.statistic import Margin
from rollout.stats.counts import CountBlock, Counts, CountState, CountTest
from rollout.stats.edges import EdgesState, EdgesTest
from rollout.stats.result import format_count

Slow = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1, max_length=16)]


class TailCounts(Model):
    """How many requests were slower than each edge, and how many there were."""

    slower: Slow
    requests: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if any(later > earlier + 1e-6 for earlier, later in pairwise(self.slower)):
            raise ValueError(
                "slower must fall from edge to edge: it counts the requests above each"
            )
        return self

    @classmethod
    def of_buckets(cls, cumulative: dict[float, float], edges: tuple[float, ...]) -> "TailCounts":
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


class TailBlock(Model):
    treatment: TailCounts
    control: TailCounts


TailState = EdgesState[CountState]


class TailTest(EdgesTest[CountState, CountBlock]):
    """Are slow requests more than ``margin`` times as likely (in odds), at any of the edges?"""

    margin: Margin = 1.5

    def at(self, edge: float) -> CountTest:
        name = f"requests slower than {edge:g} s"
        return CountTest(name=name, margin=self.margin, bets=self.bets, prior_rate=0.05)

    def start(self) -> TailState:
        return TailState(edges=tuple(self.at(edge).start() for edge in self.edges))

    def update(self, state: TailState, *blocks: TailBlock) -> TailState:
        """Bet at each edge.

        Raises:
            ValueError: when a block's number of edges is not the test's.
        """
        return self.moved(state, [_at_edges(block) for block in blocks], TailState)

    def facts(self, state: EdgesState[CountState]) -> str:
        edge, best = self.most(state)
        requests = format_count(best.treatment.units)
        return f"{self.name} of {requests} requests: {self.at(edge).facts(best)}"


def _at_edges(block: TailBlock) -> list[CountBlock]:
    t, c = block.treatment, block.control
    return [
        CountBlock(
            treatment=Counts(events=treated, units=t.requests),
            control=Counts(events=others, units=c.requests),
        )
        for treated, others in zip(t.slower, c.slower, strict=True)
    ]
