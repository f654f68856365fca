"""What can go wrong in a rehearsal.

RehearsalError
├── PrometheusFailedError   our Prometheus didn't start, or refuses what it is sent or asked
├── ServerFailedError       Temporal's time-skipping server didn't start
├── NotRehearsableError     the plan asks for something that a rehearsal doesn't have
├── RecorderFailedError     the process that records the traffic ended
└── NothingRecordedError    a backtest finds no metrics at all in the time it is asked for
"""


class RehearsalError(Exception):
    """Base of every error of this package; the message says what to do."""


class PrometheusFailedError(RehearsalError):
    """The Prometheus of the rehearsal failed."""


class ServerFailedError(RehearsalError):
    """The time-skipping server failed."""


class RecorderFailedError(RehearsalError):
    """The process that records ended before the rehearsal did."""


class NotRehearsableError(RehearsalError):
    """The plan asks for something that a rehearsal doesn't have."""


class NothingRecordedError(RehearsalError):
    """There is nothing to backtest."""
