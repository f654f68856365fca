"""One count at each of several latencies, averaged: what the tests of slow answers share.

"Slower than the edge" is an event like an error, so each edge has a test of its own. Averaging the
edges' e-values needs no independence (Vovk and Wang, "E-values", Annals of Statistics 2021), so a
shift of everything and a tail of 3 % show alike and no quantile has to be chosen.
"""

import math
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.statistic import EDGES_SECONDS, Edges, Margin
from sluice.rollout.analysis.stats.e_process import (
    Array,
    BettingStrategy,
    WealthState,
    log_average,
    log_sum,
)
from sluice.rollout.analysis.stats.result import SequentialResult, judge_evidence

StateT = TypeVar("StateT", bound=WealthState)
BlockT_contra = TypeVar("BlockT_contra", contravariant=True)


class SingleEdgeTest(Protocol[StateT, BlockT_contra]):
    """The test at one edge; ``advanced`` takes all edges' states, and rows of a block for each."""

    def start(self) -> StateT: ...

    def update_many(
        self, states: Sequence[StateT], rows: Sequence[Sequence[BlockT_contra]]
    ) -> tuple[list[StateT], Array]: ...

    def facts(self, state: StateT) -> str: ...


class EdgesState(Model, Generic[StateT]):
    """One state for each edge, and the peak of their average."""

    edges: tuple[StateT, ...]
    log_peak: float = 0.0


class EdgesTest(Model, Generic[StateT, BlockT_contra]):
    """Is the event "slower than the edge" too frequent with treatment, at any of the edges?"""

    name: str = "latency"
    edges: Edges = EDGES_SECONDS
    margin: Margin = 1.0
    bets: BettingStrategy = BettingStrategy(odds=(1.5, 3, 8))

    def edge_test(self, edge: float) -> SingleEdgeTest[StateT, BlockT_contra]:
        """Return the test of one edge."""
        raise NotImplementedError

    def update_edges(
        self,
        state: EdgesState[StateT],
        rows: Sequence[Sequence[BlockT_contra]],
        kind: type[EdgesState[StateT]],
    ) -> EdgesState[StateT]:
        """Bet at all edges at once, on rows of a block for each: their tests differ in name only.

        Raises:
            ValueError: when there are not as many blocks, or states, as edges.
        """
        if wrong := {len(row) for row in (state.edges, *rows)} - {len(self.edges)}:
            raise ValueError(f"counts at {wrong.pop()} edges; the test has {len(self.edges)}")
        new_states, log_es = self.edge_test(self.edges[0]).update_many(state.edges, rows)
        peak = float((log_sum(log_es) - math.log(len(self.edges))).max())
        return kind(edges=tuple(new_states), log_peak=max(state.log_peak, peak))

    def log_e(self, state: EdgesState[StateT]) -> float:
        count = len(self.edges)
        return log_average([edge.wealth.log_e for edge in state.edges], [1 / count] * count)

    def result(self, state: EdgesState[StateT], alpha: float) -> SequentialResult:
        return judge_evidence(
            "worse", self.facts(state), (self.log_e(state), state.log_peak), alpha
        )

    def facts(self, state: EdgesState[StateT]) -> str:
        """Return the numbers of the edge that says most."""
        edge, best = self.strongest_edge(state)
        return f"{self.name}: {self.edge_test(edge).facts(best)}"

    def strongest_edge(self, state: EdgesState[StateT]) -> tuple[float, StateT]:
        """Return the edge with the most evidence, and its state."""
        pairs = zip(self.edges, state.edges, strict=True)
        return max(pairs, key=lambda edge_state: edge_state[1].wealth.log_e)
