"""What a statistical gate counts: counters of the router, as PromQL selectors, and its test.

Each selector names a counter with ``$cohort`` among its matchers. What both cohorts' counters grew
by between two moments is one block (``sluice.rollout.analysis.blocks``); ``sluice.rollout.analysis.sequential_gate`` gives it to a test of
``sluice.rollout.analysis.stats``. Plain selectors, not expressions: only then can it be told whether a counter was
reset or not scraped in between, which makes the block *no data*. ``increase()`` would extrapolate,
and a test would take what was extrapolated for evidence.
"""

from itertools import pairwise
from string import Template
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sluice.rollout.model import Model

SelectorTemplate = Annotated[str, Field(min_length=1)]
Margin = Annotated[float, Field(ge=1, le=10)]
Edge = Annotated[float, Field(gt=0, allow_inf_nan=False)]
EDGES_SECONDS = tuple(round(0.001 * 1.25**step, 6) for step in range(21, 37, 3))
"""Every third of the router's × 1.25 buckets, 0.11 to 3.1 s: fits a service with a p99 near 1 s."""


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _require_rising(edges: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(edges)):
        raise ValueError("edges must rise")
    return edges


Edges = Annotated[
    tuple[Edge, ...],
    BeforeValidator(_list_to_tuple),
    Field(min_length=1, max_length=16),
    AfterValidator(_require_rising),
]


class EventRate(Model):
    """Events among units, for example failed among all queries (``stats.counts``).

    ``margin``: the treatment's odds may be this many times the control's. Requests of one user are
    alike, so a test of requests needs 1.5; a test of users none.
    """

    test: Literal["rate"] = "rate"
    events: SelectorTemplate
    units: SelectorTemplate
    margin: Margin = 1.5

    def counters(self) -> dict[str, str]:
        return {"events": self.events, "units": self.units}


class LatencyTail(Model):
    """Requests slower than any of ``edges``, in seconds (``stats.tail``).

    ``buckets`` is a histogram's ``_bucket`` with ``le=~"$le"``; each edge must be one of its own.
    """

    test: Literal["latency_tail"] = "latency_tail"
    buckets: SelectorTemplate
    edges: Edges = EDGES_SECONDS
    margin: Margin = 1.5

    def counters(self) -> dict[str, str]:
        return {_edge_name(edge): render_edge(self.buckets, edge) for edge in (*self.edges, None)}


class MeanValue(Model):
    """A mean of values of known sum, count and sum of squares, such as the reward (``stats.means``).

    ``tolerance``: how much worse still counts as sound. ``deviation``: a guess of one value's.
    ``of_users``: each value is another user's, counted anew in each step.
    """

    test: Literal["mean"] = "mean"
    units: SelectorTemplate
    total: SelectorTemplate
    squares: SelectorTemplate
    higher_is_better: bool = True
    margin: Annotated[float, Field(ge=0)] = 0.0
    tolerance: Annotated[float, Field(gt=0)] = 0.02
    deviation: Annotated[float, Field(gt=0)] = 0.25
    per_user: bool = False

    def counters(self) -> dict[str, str]:
        return {"units": self.units, "total": self.total, "squares": self.squares}


class AffectedUsers(Model):
    """Users hit for the first time, each once: exact whatever users' habits (``stats.affected``)."""

    test: Literal["affected_users"] = "affected_users"
    users: SelectorTemplate
    margin: Margin = 1.0

    def counters(self) -> dict[str, str]:
        return {"users": self.users}


class SlowUsers(Model):
    """Users slower than each edge for the first time (``stats.slow``).

    ``users`` is a counter with ``edge=~"$edge"``, the edge in seconds.
    """

    test: Literal["slow_users"] = "slow_users"
    users: SelectorTemplate
    edges: Edges = EDGES_SECONDS
    margin: Margin = 1.0

    def counters(self) -> dict[str, str]:
        return {_edge_name(edge): render_edge(self.users, edge) for edge in self.edges}


class SampleRatio(Model):
    """Users, each once, against the flag's percentage: a sample-ratio mismatch (``stats.ratio``)."""

    test: Literal["sample_ratio"] = "sample_ratio"
    users: SelectorTemplate

    def counters(self) -> dict[str, str]:
        return {"users": self.users}


AnyStatistic = EventRate | LatencyTail | MeanValue | AffectedUsers | SlowUsers | SampleRatio
Statistic = Annotated[AnyStatistic, Field(discriminator="test")]


def counts_users(statistic: AnyStatistic) -> bool:
    """Whether it counts users, each once since the flag's percentage last changed.

    Those counters begin anew in each step. A user may be in them again, so such evidence must not
    be multiplied from step to step: it begins anew as well, at a part of α for each step.
    """
    return isinstance(statistic, AffectedUsers | SlowUsers | SampleRatio) or (
        isinstance(statistic, MeanValue) and statistic.per_user
    )


def _edge_name(edge: float | None) -> str:
    return "all" if edge is None else f"{edge:g}"


def render_edge(selector: str, edge: float | None) -> str:
    """``selector`` with ``$le`` or ``$edge`` filled in (None: all requests).

    Clients write 1 s as ``1`` or as ``1.0``: both match.
    """
    if edge is None:
        return Template(selector).safe_substitute(le="[+]Inf")
    forms = dict.fromkeys((f"{edge:g}", repr(float(edge))))
    matching = "|".join(form.replace(".", "[.]") for form in forms)
    return Template(selector).safe_substitute(le=matching, edge=matching)
