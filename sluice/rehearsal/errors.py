"""The errors of a rehearsal.

RehearsalError
├── PrometheusFailedError   the Prometheus did not start, or refuses samples or a query
├── ServerFailedError       Temporal's time-skipping server did not start
├── NotRehearsableError     the plan needs something that a rehearsal lacks
├── RecorderFailedError     the process that records the traffic ended
└── NothingRecordedError    a backtest finds no metrics in its time
"""


class RehearsalError(Exception):
    """Base of every error of this package; the message names the next step."""


class PrometheusFailedError(RehearsalError):
    """The Prometheus of the rehearsal failed."""


class ServerFailedError(RehearsalError):
    """The time-skipping server failed."""


class RecorderFailedError(RehearsalError):
    """The recorder process ended before the rehearsal."""


class NotRehearsableError(RehearsalError):
    """The plan needs something that a rehearsal lacks."""


class NothingRecordedError(RehearsalError):
    """The time of the backtest has no metrics."""
