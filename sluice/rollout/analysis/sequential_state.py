"""The evidence of statistical gates: small, and carried from step to step."""

from datetime import datetime
from typing import Any

from pydantic import Field

from sluice.rollout.model import Model


class SequentialState(Model):
    """One gate's evidence so far.

    ``until``: end of the last block that was looked at, counted or not. ``state``: the test's own
    state as JSON. ``blocks`` counts those weighed. ``problem`` says why the last one was no data.
    """

    until: datetime | None = None
    test_state: dict[str, Any] = Field(default_factory=dict)
    blocks: int = 0
    problem: str = ""


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

    ``problem``: why it has no data (a reset, a gap, a missing cohort). ``error``: why it could not
    be measured; it is measured again then.
    """

    since: datetime
    until: datetime
    share: float
    treatment: dict[str, float] = Field(default_factory=dict)
    control: dict[str, float] = Field(default_factory=dict)
    problem: str = ""
    error: str = ""
