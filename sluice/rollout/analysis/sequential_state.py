"""The evidence of statistical gates: small, and carried from step to step."""

from datetime import datetime
from typing import Any

from pydantic import Field

from sluice.rollout.model import Model


class SequentialState(Model):
    """One gate's evidence so far.

    ``until``: end of the last block that was looked at, counted or not. ``test_state``: the test's own
    state as JSON. ``blocks`` counts those weighed. ``problem`` says why the last one was no data.
    ``attempt`` counts the tracks before this one: each had a part of α, which is spent.
    ``counted_since``: when the counting of users began. ``period``: the number of the restart
    (``restarts_every``) in the step. ``harm``: the sentence with which harm was shown, or empty.
    ``earlier``: the test's state at the end of the attempt before, over the same counting of users.
    """

    until: datetime | None = None
    test_state: dict[str, Any] = Field(default_factory=dict)
    blocks: int = 0
    problem: str = ""
    attempt: int = 0
    counted_since: float | None = None
    period: int = 0
    harm: str = ""
    earlier: dict[str, Any] = Field(default_factory=dict)

    def next_attempt(self) -> "SequentialState":
        """Return a track without evidence that continues here, at what is left of α."""
        spent = self.attempt + 1 if self.blocks else self.attempt
        return SequentialState(
            until=self.until,
            attempt=spent,
            counted_since=self.counted_since,
            period=self.period,
            earlier=self.test_state or self.earlier,
        )


class EvidenceContext(Model):
    """The input of statistical gates besides readings, by gate name, for one step.

    ``since``: when the present share of users (0 to 1) went live; no block reaches further back.
    """

    since: datetime
    share: float = Field(ge=0, le=1)
    alphas: dict[str, float] = Field(default_factory=dict)
    sequential_states: dict[str, SequentialState] = Field(default_factory=dict)


class Block(Model):
    """Increases of both cohorts' counters from ``since`` to ``until``, by the counter's name.

    ``problem``: why it has no data (a gap, a missing cohort). ``error``: why it could not be
    measured; it is measured again then. ``counted_since``: when the counting of users began.
    """

    since: datetime
    until: datetime
    share: float
    treatment: dict[str, float] = Field(default_factory=dict)
    control: dict[str, float] = Field(default_factory=dict)
    problem: str = ""
    error: str = ""
    counted_since: float | None = None
