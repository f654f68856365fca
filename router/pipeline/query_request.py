"""The request that the pipeline answers."""

from dataclasses import dataclass

from sluice.flags.service.unique_users import CountedUser


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """What was asked, by whom. ``user_id`` decides the cohort; without one it is control.

    ``member`` is the user as the comparison of both cohorts counts them, if it does.
    """

    query: str
    user_id: str | None = None
    session_id: str | None = None
    limit: int = 10
    tenant: str = "default"
    seconds: float | None = None  # the caller's own deadline, when shorter than the router's
    counted_user: CountedUser | None = None
