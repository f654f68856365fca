"""Statistics of statistical gates: the test, and the counters it reads, as PromQL selectors.

Each selector names a counter with ``$cohort`` among its matchers. The increase of both cohorts'
counters between two times is one block (``analysis.blocks``); ``analysis.sequential_gate`` gives it to
a test of ``analysis.stats``. Selectors are plain, not expressions: only then a query shows whether a
counter was reset or not scraped in between, which makes the block *no data*. ``increase()``
extrapolates, and extrapolated events are not evidence.
"""

from functools import lru_cache
from itertools import pairwise
from string import Template
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sluice.rollout.model import Model, TupleOf
from sluice.rollout.units import Duration

SelectorTemplate = Annotated[str, Field(min_length=1)]
Margin = Annotated[float, Field(ge=1, le=10)]
Edge = Annotated[float, Field(gt=0, allow_inf_nan=False)]
EDGES_SECONDS = tuple(round(0.001 * 1.25**step, 6) for step in range(21, 37, 3))
"""Every third of the router's × 1.25 buckets, 0.11 to 3.1 s: fits a service with a p99 near 1 s."""
USER_SUMS = ("value", "square", "product", "weight_square", "weight")
"""The sums of ``UserMeans``; the last one grows whenever a user counts."""
Stratum = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")]


def _require_rising(edges: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(edges)):
        raise ValueError("edges must rise")
    return edges


Edges = Annotated[
    TupleOf[Edge],
    Field(min_length=1, max_length=16),
    AfterValidator(_require_rising),
]


class EventRate(Model):
    """Events among units, for example failed among all queries (``stats.counts``).

    ``margin``: the treatment's odds may be this many times the control's. Requests of one user are
    alike, so a test of requests needs a margin. One bot may break it: prefer ``user_hazards``.
    """

    test: Literal["rate"] = "rate"
    events: SelectorTemplate
    units: SelectorTemplate
    margin: Margin = 1.5

    def counters(self) -> dict[str, str]:
        """Return the counters by name."""
        return {"events": self.events, "units": self.units}


class LatencyTail(Model):
    """Requests slower than any of ``edges``, in seconds (``stats.latency_tail``).

    ``buckets`` is a histogram's ``_bucket`` with ``le=~"$le"``; each edge must be one of its own.
    """

    test: Literal["latency_tail"] = "latency_tail"
    buckets: SelectorTemplate
    edges: Edges = EDGES_SECONDS
    margin: Margin = 1.5

    def counters(self) -> dict[str, str]:
        """Return one counter for each edge, and all requests."""
        return {_edge_name(edge): render_edge(self.buckets, edge) for edge in (*self.edges, None)}


class UserStatistic(Model):
    """A statistic whose counters may hold each user's first requests.

    ``counted_since``: a gauge with the time at which the counting of users began, in seconds. When it
    changes (another percentage, lost records), users are counted again, so a new track begins.
    ``restarts_every``: the counters hold each user's first requests since a multiple of it (in UTC).
    """

    counted_since: SelectorTemplate | None = None
    restarts_every: Duration | None = None


class MeanValue(UserStatistic):
    """A mean of values of known sum, count and sum of squares, such as log time (``stats.means``).

    ``tolerance``: how much worse still counts as sound. ``deviation``: a guess of one value's.
    ``per_user``: the counters hold users' own values, and start at zero in each step.
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
        """Return the counters by name."""
        return {"units": self.units, "total": self.total, "squares": self.squares}


class BoundedMean(UserStatistic):
    """A mean of values between 0 and 1, each another user's, such as a reward (``stats.bounded_means``).

    Exact for any number of values. ``tolerance``: how much worse still counts as sound.
    """

    test: Literal["bounded_mean"] = "bounded_mean"
    units: SelectorTemplate
    total: SelectorTemplate
    squares: SelectorTemplate
    higher_is_better: bool = True
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.02

    def counters(self) -> dict[str, str]:
        """Return the counters by name."""
        return {"units": self.units, "total": self.total, "squares": self.squares}


class UserMeans(UserStatistic):
    """A mean over users of each user's own mean, such as log time (``stats.user_means``).

    The counter has ``$sum`` among its matchers: sums over users of weights w, of weighted means v, of
    v², of w v, and of w². ``effect``: the size of harm that the test is tuned for. ``tolerance``: how
    much worse still counts as sound.
    """

    test: Literal["user_means"] = "user_means"
    sums: SelectorTemplate
    higher_is_better: bool = True
    margin: Annotated[float, Field(ge=0)] = 0.0
    effect: Annotated[float, Field(gt=0)] = 0.1
    tolerance: Annotated[float, Field(gt=0)] = 0.02

    def counters(self) -> dict[str, str]:
        """Return one counter for each sum."""
        return {name: _fill(self.sums, "sum", name) for name in USER_SUMS}


class UserGroup(Model):
    """Users alike in what is known of them from before the rollout.

    ``rate``: the assumed rate of events, relative to that of all users. It shapes power, never validity.
    """

    name: Stratum
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class UserHazards(UserStatistic):
    """Users hit by an event, among requests of users at risk of it (``stats.user_hazards``).

    Both counters have ``$stratum`` among their matchers; ``strata`` are its values, and ``weights``
    their parts of the evidence, even unless given. With ``groups`` they have ``$group`` as well, matched
    as a regular expression: groups of users split the first stratum.
    """

    test: Literal["user_hazards"] = "user_hazards"
    users: SelectorTemplate
    at_risk: SelectorTemplate
    strata: Annotated[TupleOf[Stratum], Field(min_length=1, max_length=16)]
    weights: TupleOf[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = ()
    groups: Annotated[TupleOf[UserGroup], Field(max_length=8)] = ()
    margin: Margin = 1.0

    @model_validator(mode="after")
    def _require_weight_of_each_stratum(self) -> Self:
        if self.weights and len(self.weights) != len(self.strata):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.strata)} strata: give one for each"
            )
        return self

    @model_validator(mode="after")
    def _require_groups_in_both_selectors(self) -> Self:
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f"groups {', '.join(names)}: each may be named once")
        if {bool(names)} != {"$group" in selector for selector in (self.users, self.at_risk)}:
            raise ValueError('groups and =~"$group" in users and at_risk need each other')
        return self

    def columns(self) -> tuple[tuple[str, str], ...]:
        """Return stratum and group of each column of counts; an empty group is all users."""
        first, *others = self.strata
        of_first = tuple((first, group.name) for group in self.groups) or ((first, ""),)
        return (*of_first, *((stratum, "") for stratum in others))

    @staticmethod
    def counter_name(counter: str, column: tuple[str, str]) -> str:
        """Return the name of a column's counter among ``counters``."""
        return " ".join(filter(None, (counter, *column)))

    def counters(self) -> dict[str, str]:
        """Return two counters for each column; the last one is of the first stratum, which grows most."""
        return {
            self.counter_name(counter, (stratum, group)): _fill(
                _fill(selector, "stratum", stratum), "group", group or ".*"
            )
            for counter, selector in (("users", self.users), ("at_risk", self.at_risk))
            for stratum, group in reversed(self.columns())
        }


class SampleRatio(UserStatistic):
    """Users, each once, against the flag's percentage: a sample-ratio mismatch (``stats.sample_ratio``)."""

    test: Literal["sample_ratio"] = "sample_ratio"
    users: SelectorTemplate

    def counters(self) -> dict[str, str]:
        """Return the counter of users."""
        return {"users": self.users}


AnyStatistic = (
    EventRate | LatencyTail | MeanValue | BoundedMean | UserMeans | UserHazards | SampleRatio
)
Statistic = Annotated[AnyStatistic, Field(discriminator="test")]


def counts_users(statistic: AnyStatistic) -> bool:
    """Return True when it counts users since the flag's percentage last changed.

    Those counters start at zero in each step. The same users are in them again, so such evidence must
    not be multiplied from step to step: each step has a track of its own, at a part of α.
    """
    return isinstance(statistic, BoundedMean | UserMeans | UserHazards | SampleRatio) or (
        isinstance(statistic, MeanValue) and statistic.per_user
    )


def counted_since_selector(statistic: AnyStatistic) -> str | None:
    """Return the gauge with the time since which users are counted, if the statistic has one."""
    return statistic.counted_since if isinstance(statistic, UserStatistic) else None


def _edge_name(edge: float | None) -> str:
    return "all" if edge is None else f"{edge:g}"


def render_edge(selector: str, edge: float | None) -> str:
    """Return ``selector`` with ``$le`` filled in (None: all requests).

    Clients write 1 s as ``1`` or as ``1.0``: both match.
    """
    if edge is None:
        return _fill(selector, "le", "[+]Inf")
    forms = dict.fromkeys((f"{edge:g}", repr(float(edge))))
    matching = "|".join(form.replace(".", "[.]") for form in forms)
    return _fill(selector, "le", matching)


@lru_cache(maxsize=1024)
def _fill(selector: str, name: str, value: str) -> str:
    """Return the selector with one variable filled in; every check asks for the same few."""
    return Template(selector).safe_substitute({name: value})
