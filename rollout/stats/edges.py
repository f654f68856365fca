"""One count at each of several latencies, averaged: what the tests of slow answers share.

"Slower than the edge" is an event like an error, so each edge has a test of its own. Averaging the
edges' e-values needs no independence (Vovk and Wang, "E-values", Annals of Statistics 2021), so a
shift of everything and a tail of 3 % show alike and no quantile has to be chosen.
"""

import math
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from rollout.gate import Model
from rollout.statistic import EDGES_SECONDS, Edges, Margin
from rollout.stats.evidence import Array, Bets, Weighed, log_average, log_sum
from rollout.stats.result import Result, result

State = TypeVar("State", bound=Weighed)
One_contra = TypeVar("One_contra", contravariant=True)


class OneEdge(Protocol[State, One_contra]):
    """The test at one edge; ``advanced`` takes all edges' states, and rows of a block for each."""

    def start(self) -> State: ...

    def advanced(
        self, states: Sequence[State], rows: Sequence[Sequence[One_contra]]
    ) -> tuple[list[State], Array]: ...

    def facts(self, state: State) -> str: ...


class EdgesState(Model, Generic[State]):
    """One state for each edge, and the peak of their average."""

    edges: tuple[State, ...]
    log_peak: float = 0.0


class EdgesTest(Model, Generic[State, One_contra]):
    """Is the event "slower than the edge" too frequent with treatment, at any of the edges?"""

    name: str = "latency"
    edges: Edges = EDGES_SECONDS
    margin: Margin = 1.0
    bets: Bets = Bets(odds=(1.5, 3, 8))

    def at(self, edge: float) -> OneEdge[State, One_contra]:
        """The test of one edge."""
        raise NotImplementedError

    def moved(
        self,
        state: EdgesState[State],
        rows: Sequence[Sequence[One_contra]],
        kind: type[EdgesState[State]],
    ) -> EdgesState[State]:
        """Bet at all edges at once, on rows of a block for each: their tests differ in name only.

        Raises:
            ValueError: when there are not as many blocks, or states, as edges.
        """
        if wrong := {len(one) for one in (state.edges, *rows)} - {len(self.edges)}:
            raise ValueError(f"counts at {wrong.pop()} edges; the test has {len(self.edges)}")
        found, log_es = self.at(self.edges[0]).advanced(state.edges, rows)
        peak = float((log_sum(log_es) - math.log(len(self.edges))).max())
        return kind(edges=tuple(found), log_peak=max(state.log_peak, peak))

    def log_e(self, state: EdgesState[State]) -> float:
        count = len(self.edges)
        return log_average([edge.wealth.log_e for edge in state.edges], [1 / count] * count)

    def result(self, state: EdgesState[State], alpha: float) -> Result:
        return result("worse", self.facts(state), (self.log_e(state), state.log_peak), alpha)

    def facts(self, state: EdgesState[State]) -> str:
        """The numbers of the edge that says most."""
        edge, best = self.most(state)
        return f"{self.name}: {self.at(edge).facts(best)}"

    def most(self, state: EdgesState[State]) -> tuple[float, State]:
        """The edge with the most evidence, and its state."""
        pairs = zip(self.edges, state.edges, strict=True)
        return max(pairs, key=lambda pair: pair[1].wealth.log_e)
