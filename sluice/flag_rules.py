"""The rules that the flag store and a plan share: percentages and user ids.

``sluice.flags`` refuses a write by them, ``sluice.rollout`` a plan: lint accepts what the store accepts.
"""

import math

USER_ID_LENGTH_MAX = 256
USERS_PER_LIST_MAX = 10_000
BUCKETS_PER_PERCENT = 100
FULL_PERCENTAGE = 100
_FLOAT_NOISE = 1e-6


def percentage_problem(percentage: object) -> str:
    """Return the reason to refuse a percentage, or an empty text."""
    if isinstance(percentage, bool) or not isinstance(percentage, int | float):
        return "give a number, 0 to 100"
    if not 0 <= percentage <= FULL_PERCENTAGE or not math.isfinite(percentage):
        return "give a number, 0 to 100"
    buckets = percentage * BUCKETS_PER_PERCENT
    if abs(buckets - round(buckets)) > _FLOAT_NOISE:
        return "give at most two decimals"
    return ""


def user_problem(user_id: object) -> str:
    """Return the reason to refuse a user id, or an empty text."""
    if not isinstance(user_id, str) or not 0 < len(user_id) <= USER_ID_LENGTH_MAX:
        return f"give a text of 1 to {USER_ID_LENGTH_MAX} characters"
    try:
        user_id.encode()
    except UnicodeEncodeError:
        return "it is not valid Unicode text"
    return ""


def users_problem(count: int) -> str:
    """Return the reason to refuse a list of ``count`` users, or an empty text."""
    if count > USERS_PER_LIST_MAX:
        return (
            f"{count} users in one list: the most is {USERS_PER_LIST_MAX}; "
            "raise the percentage instead"
        )
    return ""
