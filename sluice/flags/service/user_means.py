"""Users' means of log times and rewards: the sums over users that a test of means needs. Pure.

Each user counts with the mean of the first values, at the weight of its precision: a heavy user does not
outweigh others. What the user's values were before the rollout predicts them, and the prediction is
taken out (CUPED; Deng, Xu, Kohavi and Walker, WSDM 2013). It was fixed before the first exposure, so it
is the same in both cohorts but for chance. Squares are of users, not of values: a test sees the
spread between users, whatever share of it is a user's own.
"""

from dataclasses import dataclass

SUMS = ("weight", "value", "square", "product", "weight_square")
"""Sums over users: of weights w, of weighted means v, of v², of w v, and of w²."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A number of values, and their sum."""

    count: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float:
        """The mean; 0 without values."""
        return self.total / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class UserMean:
    """The mean of one kind of value.

    `within_to_between`: variance of one user's values over the variance between users. It shapes
    weights only. `offset` is added to each value: the sums never fall, as counters must not.
    Redis keeps values in parts of 1/`steps`. `values_max`: values of a user that count in a period.
    """

    within_to_between: float
    offset: float
    steps: int
    values_max: int

    def observed(self, count: int, steps: int) -> Observed:
        """Return the values of a number and a sum as Redis keeps them."""
        return Observed(count, steps / self.steps)

    def increments(
        self, before: Observed, after: Observed, past: Observed, past_mean: float
    ) -> tuple[float, ...]:
        """Return what the sums grow by when a user's values grow from `before` to `after`.

        `past`: the user's values before the rollout; `past_mean`: the mean of all users' ones.
        """
        forecast = past.count / (past.count + self.within_to_between) * (past.mean - past_mean)
        precision = self.within_to_between + past.count
        sums = [self._sums(values, precision, forecast) for values in (before, after)]
        return tuple(max(late - early, 0.0) for early, late in zip(*sums, strict=True))

    def _sums(self, values: Observed, precision: float, forecast: float) -> tuple[float, ...]:
        weight = precision * values.count / (precision + values.count)
        value = weight * (values.mean - forecast + self.offset)
        return weight, value, value**2, weight * value, weight**2


LOG_TIME = UserMean(within_to_between=3.0, offset=100.0, steps=100, values_max=32)
"""Of the logarithm of milliseconds, uncached answers."""
REWARD = UserMean(within_to_between=4.0, offset=4.0, steps=1000, values_max=15)
"""Of rewards, 0 to 1."""
