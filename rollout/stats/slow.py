"""Users who met a slow answer for the first time: latency without counting anybody twice.

``TailTest`` counts requests, so a few heavy users with slow questions can tilt a small cohort. Here
each user counts once per edge, at the first request slower than it: an ``AffectedTest`` at each
edge, exact whatever the users' habits; the edges' e-values are averaged.
"""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from rollout.gate import Model
from rollout.stats.affected import AffectedBlock, AffectedState, AffectedTest
from rollout.stats.evidence import Bets, Share, log_average
from rollout.stats.result import Result, result
from rollout.stats.tail import EDGES_SECONDS, Edge

Users = tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]


class SlowBlock(Model):
    """Users newly slower than each edge between two looks; ``share`` of users had the treatment."""

    treatment: Users
    control: Users
    share: Share


class SlowState(Model):
    """One state for each edge, and the peak of their average."""

    edges: tuple[AffectedState, ...]
    log_peak: float = 0.0


class SlowTest(Model):
    """Do slow answers reach more of the treatment's users than its share of users explains?"""

    name: str = "latency"
    edges: Annotated[tuple[Edge, ...], Field(min_length=1, max_length=16)] = EDGES_SECONDS
    bets: Bets = Bets(odds=(1.5, 3, 8))

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.edges)):
            raise ValueError("edges must rise")
        return self

    def at(self, edge: float) -> AffectedTest:
        """The test of one edge."""
        return AffectedTest(name=f"users with an answer slower than {edge:g} s", bets=self.bets)

    def start(self) -> SlowState:
        return SlowState(edges=tuple(self.at(edge).start() for edge in self.edges))

    def update(self, state: SlowState, block: SlowBlock) -> SlowState:
        """Bet at each edge.

        Raises:
            ValueError: when a block's number of edges is not the test's.
        """
        pairs = zip(block.treatment, block.control, strict=True)
        blocks = [AffectedBlock(treatment=t, control=c, share=block.share) for t, c in pairs]
        found = tuple(
            self.at(edge).update(old, new)
            for edge, old, new in zip(self.edges, state.edges, blocks, strict=True)
        )
        after = SlowState(edges=found)
        peak = max(state.log_peak, self.log_e(after))
        return after.model_copy(update={"log_peak": peak})

    def log_e(self, state: SlowState) -> float:
        count = len(self.edges)
        return log_average([edge.wealth.log_e for edge in state.edges], [1 / count] * count)

    def result(self, state: SlowState, alpha: float) -> Result:
        return result("worse", self.facts(state), (self.log_e(state), state.log_peak), alpha)

    def facts(self, state: SlowState) -> str:
        """The numbers of the edge that says most."""
        best = max(range(len(self.edges)), key=lambda index: state.edges[index].wealth.log_e)
        return f"{self.name}: {self.at(self.edges[best]).facts(state.edges[best])}"
