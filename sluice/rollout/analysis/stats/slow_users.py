"""Users who met a slow answer for the first time: latency without counting anybody twice.

``TailTest`` counts requests, so a few heavy users with slow questions can tilt a small cohort. Here
each user counts once per edge, at the first request slower than it: an ``AffectedTest`` at each
edge, exact whatever the users' habits.
"""

from typing import Annotated

from pydantic import Field

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.affected_users import (
    AffectedUsersBlock,
    AffectedUsersState,
    AffectedUsersTest,
)
from sluice.rollout.analysis.stats.bucket_edges import EdgesState, EdgesTest
from sluice.rollout.analysis.stats.e_process import Share

UsersPerEdge = tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]


class SlowUsersBlock(Model):
    """Users newly slower than each edge between two looks; ``share`` of users had the treatment."""

    treatment: UsersPerEdge
    control: UsersPerEdge
    share: Share


SlowUsersState = EdgesState[AffectedUsersState]


class SlowUsersTest(EdgesTest[AffectedUsersState, AffectedUsersBlock]):
    """Do slow answers reach more of the treatment's users than its share of users explains?"""

    def edge_test(self, edge: float) -> AffectedUsersTest:
        return AffectedUsersTest(name=f"slower than {edge:g} s", margin=self.margin, bets=self.bets)

    def start(self) -> SlowUsersState:
        return SlowUsersState(edges=tuple(self.edge_test(edge).start() for edge in self.edges))

    def update(self, state: SlowUsersState, *blocks: SlowUsersBlock) -> SlowUsersState:
        """Bet at each edge.

        Raises:
            ValueError: when a block's number of edges is not the test's.
        """
        return self.update_edges(state, [_split_by_edge(block) for block in blocks], SlowUsersState)


def _split_by_edge(block: SlowUsersBlock) -> list[AffectedUsersBlock]:
    pairs = zip(block.treatment, block.control, strict=True)
    return [AffectedUsersBlock(treatment=t, control=c, share=block.share) for t, c in pairs]
