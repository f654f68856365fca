"""Latency from histogram buckets: is a slow request more likely with treatment?

For each edge, "slower than the edge" is an event like an error: a ``CountTest``. The edges'
e-values are averaged, which needs no independence (Vovk and Wang, Annals of Statistics 2021), so a
shift of everything and a tail of 3 % show alike and no quantile has to be chosen. Counts above an
edge are exact, where an interpolated p99 of 60 requests is the slowest one's bucket. Stochastic
order of two samples by betting: cf. Howard and Ramdas, "Sequential estimation of quantiles"
(Bernoulli 2022).
"""

import math
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from rollout.gate import Model
from rollout.stats.counts import CountBlock, Counts, CountState, CountTest
from rollout.stats.evidence import Bets, log_average
from rollout.stats.result import Result, format_count, result

EDGES_SECONDS = tuple(round(0.001 * 1.25**step, 6) for step in range(21, 37, 3))
"""Every third of the router's × 1.25 buckets, 0.11 to 3.1 s: fits a service with a p99 near 1 s."""

Edge = Annotated[float, Field(gt=0, allow_inf_nan=False)]
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


class TailState(Model):
    """One state for each edge, and the peak of their average."""

    edges: tuple[CountState, ...]
    log_peak: float = 0.0


class TailTest(Model):
    """Are slow requests more than ``margin`` times as likely (in odds), at any of the edges?"""

    name: str = "latency"
    edges: Annotated[tuple[Edge, ...], Field(min_length=1, max_length=16)] = EDGES_SECONDS
    margin: Annotated[float, Field(ge=1, le=10)] = 1.5
    bets: Bets = Bets(odds=(1.5, 3, 8))

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.edges)):
            raise ValueError("edges must rise")
        return self

    def at(self, edge: float) -> CountTest:
        """The test of one edge."""
        name = f"requests slower than {edge:g} s"
        return CountTest(name=name, margin=self.margin, bets=self.bets, prior_rate=0.05)

    def start(self) -> TailState:
        return TailState(edges=tuple(self.at(edge).start() for edge in self.edges))

    def update(self, state: TailState, block: TailBlock) -> TailState:
        """Bet at each edge.

        Raises:
            ValueError: when a block's number of edges is not the test's.
        """
        blocks = [_at(block, index) for index in range(len(self.edges))]
        found = tuple(
            self.at(edge).update(old, new)
            for edge, old, new in zip(self.edges, state.edges, blocks, strict=True)
        )
        after = TailState(edges=found, log_peak=state.log_peak)
        return after.model_copy(update={"log_peak": max(state.log_peak, self.log_e(after))})

    def log_e(self, state: TailState) -> float:
        count = len(self.edges)
        return log_average([edge.wealth.log_e for edge in state.edges], [1 / count] * count)

    def result(self, state: TailState, alpha: float) -> Result:
        evidence = (self.log_e(state), state.log_peak)
        return result("worse", self.facts(state), evidence, alpha)

    def facts(self, state: TailState) -> str:
        """The numbers of the edge that says most."""
        best = max(range(len(self.edges)), key=lambda index: state.edges[index].wealth.log_e)
        edge = self.at(self.edges[best])
        requests = format_count(state.edges[best].treatment.units)
        return f"{self.name} of {requests} requests: {edge.facts(state.edges[best])}"


def _at(block: TailBlock, index: int) -> CountBlock:
    t, c = block.treatment, block.control
    return CountBlock(
        treatment=Counts(events=t.slower[index], units=t.requests),
        control=Counts(events=c.slower[index], units=c.requests),
    )
