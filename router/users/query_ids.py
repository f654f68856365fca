"""Ids of answered queries: whom an answer was given to and when, so that feedback needs no store to tell.

``t-`` or ``c-`` for the cohort, a UUID of version 7 (RFC 9562: it begins with the time), and after another
``-`` the member that the query is counted for, where there is one.
"""

import re
import time
import uuid

from router.answer import Cohort
from sluice.flags.service.unique_users import CountedUser

_COHORTS: dict[str, Cohort] = {"c": "control", "t": "treatment"}
_QUERY_ID = re.compile(r"([ct])-([0-9a-f]{12})7[0-9a-f]{3}[89ab][0-9a-f]{15}(?:-|$)")
_VERSION, _RANDOM = 7 << 76, (1 << 80) - 1 - (0xF << 76)


def new_query_id(cohort: Cohort, counted_user: CountedUser | None = None) -> str:
    """Carries cohort, time and member, so feedback counts also after the decision was forgotten."""
    random = uuid.uuid4().int & _RANDOM
    number = uuid.UUID(int=time.time_ns() // 1_000_000 << 80 | _VERSION | random)
    counted = f"-{counted_user.token}" if counted_user else ""
    return f"{cohort[0]}-{number.hex}{counted}"


def parse_cohort(query_id: str) -> Cohort | None:
    """The cohort a query id was given out for; None when it is none of ours."""
    found = _QUERY_ID.match(query_id)
    return _COHORTS[found[1]] if found else None


def age_seconds(query_id: str) -> float:
    """Seconds since it was given out; negative where this machine's clock is behind, nan if none of ours."""
    found = _QUERY_ID.match(query_id)
    return time.time() - int(found[2], 16) / 1000 if found else float("nan")


def parse_counted_user(query_id: str) -> CountedUser | None:
    """Whom feedback on the query is counted for; None when the user takes no part."""
    parts = query_id.split("-")
    return CountedUser.parse(parts[2]) if len(parts) == 3 else None  # noqa: PLR2004  the id's parts
