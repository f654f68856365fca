"""Errors of the router: one flat tree; each docstring is the meaning of its error.

RouterError
  RouterSettingsError    a setting is missing or wrong: fix it and start again
  InvalidQuestion        the caller's input: HTTP 422
  Unauthorised           no valid API key: HTTP 401
  Forbidden              the key lacks the scope: HTTP 403
  UnknownQueryId         feedback for a query id that this router did not issue: HTTP 404
  Overloaded             more work than this process takes: HTTP 429
    QuotaExceeded        more work than this tenant may send: HTTP 429
  DeadlineExceeded       the caller's own deadline passed: HTTP 504
  NotReady               starting, draining, or a required store is unavailable: HTTP 503
  StoreUnavailable       one store failed or was late; the answer continues without it
  InjectedFault          the demo's fault injection failed this query: HTTP 500
"""


class RouterError(Exception):
    """Base of all errors that the router raises on purpose."""


class RouterSettingsError(RouterError):
    """A setting is missing or wrong; the message names it and its expected form."""


class InvalidQuestion(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """The question is empty, too long, or asks for more than one search can hold."""


class Unauthorised(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """The request has no API key, or an unknown or expired one."""


class Forbidden(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """A valid API key without the required scope."""


class UnknownQueryId(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """Feedback names a query id that was not issued to this tenant, or too long ago."""


class Overloaded(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """More work than this process takes; retry after ``retry_after_seconds``."""

    kind = "overload"

    def __init__(self, reason: str, retry_after_seconds: int = 1) -> None:
        super().__init__(f"{reason}; try again shortly")
        self.retry_after_seconds = retry_after_seconds


class QuotaExceeded(Overloaded):
    """One tenant sends more than its quota or its share; other tenants are served."""

    kind = "quota"


class DeadlineExceeded(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """The answer was not ready within the caller's own deadline."""


class NotReady(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """This process cannot serve yet, or no longer."""


class StoreUnavailable(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """A store failed or missed its deadline.

    ``reason`` may be sent to callers. ``detail`` is the driver's message; it may contain addresses,
    so it is for logs and operators only.
    """

    def __init__(self, store: str, reason: str, detail: str = "") -> None:
        super().__init__(": ".join(filter(None, (store, reason, detail))))
        self.store = store
        self.reason = reason
        self.detail = detail


class InjectedFault(RouterError):  # noqa: N818 - a noun of the domain, as in httpx
    """Fault injection (SLUICE_FAULT_INJECTION=1) failed this query."""
