"""What can go wrong in the router. One flat tree; each docstring is the meaning of its error.

RouterError
  SettingsError          a setting is missing or wrong: fix it and start again
  InvalidQuestion        the caller's input: HTTP 422
  Unauthorised           no valid API key: HTTP 401
  Forbidden              the key lacks the scope: HTTP 403
  UnknownDecision        feedback for a query nobody remembers: HTTP 404
  Overloaded             more work than this process takes: HTTP 429
  Late                   the caller's own short deadline passed: HTTP 504
  NotReady               starting, draining, or a store we cannot do without is away: HTTP 503
  StoreUnavailable       one store failed or was late; the answer goes on without it
  InjectedFault          the demo's fault injection failed this query: HTTP 500
"""


class RouterError(Exception):
    """Anything the router raises on purpose."""


class RouterSettingsError(RouterError):
    """A setting is missing or wrong; the message names it and says what it should be."""


class InvalidQuestion(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """The question is empty or longer than the limit."""


class Unauthorised(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """No API key, or one that nobody was given."""


class Forbidden(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """A valid API key without the scope that this needs."""


class UnknownQueryId(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """Feedback names a query id that was never given out, or was given out too long ago."""


class Overloaded(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """More work than this process takes; try again after ``retry_after_seconds``."""

    def __init__(self, reason: str, retry_after_seconds: int = 1) -> None:
        super().__init__(f"{reason}; try again shortly")
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceeded(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """No answer within the caller's own deadline, which was shorter than a router can promise."""


class NotReady(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """This process can't serve yet, or no longer."""


class StoreUnavailable(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """A store failed or missed its deadline.

    ``why`` may be told to whoever asks a question; ``detail``, the driver's own words, may hold
    addresses and is for logs and operators.
    """

    def __init__(self, store: str, reason: str, detail: str = "") -> None:
        super().__init__(": ".join(filter(None, (store, reason, detail))))
        self.store = store
        self.reason = reason
        self.detail = detail


class InjectedFault(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """Only with SLUICE_FAULT_INJECTION=1: a query failed because the demo asked for it."""
