"""Users who met a slow answer for the first time: latency without counting anybody twice.

``TailTest`` counts requests, so a few heavy users with slow questions can tilt a small cohort. Here
each user counts once per edge, at the first request slower than it: an ``AffectedTest`` at each
edge, exact whatever the users' habits.
"""

from typing import Annotated

from pydantic import Field

from rollout.gate import Model
from rollout.stats.affected import AffectedBlock, AffectedState, AffectedTest
from rollout.stats.edges import EdgesState, EdgesTest
from rollout.stats.evidence import Share

Users = tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]


class SlowBlock(Model):
    """Users newly slower than each edge between two looks; ``share`` of users had the treatment."""

    treatment: Users
    control: Users
    share: Share


SlowState = EdgesState[AffectedState]


class SlowTest(EdgesTest[AffectedState, AffectedBlock]):
    """Do slow answers reach more of the treatment's users than its share of users explains?"""

    def at(self, edge: float) -> AffectedTest:
        return AffectedTest(name=f"slower than {edge:g} s", margin=self.margin, bets=self.bets)

    def start(self) -> SlowState:
        return SlowState(edges=tuple(self.at(edge).start() for edge in self.edges))

    def update(self, state: SlowState, *blocks: SlowBlock) -> SlowState:
        """Bet at each edge.

        Raises:
            ValueError: when a block's number of edges is not the test's.
        """
        return self.moved(state, [_at_edges(block) for block in blocks], SlowState)


def _at_edges(block: SlowBlock) -> list[AffectedBlock]:
    pairs = zip(block.treatment, block.control, strict=True)
    return [AffectedBlock(treatment=t, control=c, share=block.share) for t, c in pairs]
