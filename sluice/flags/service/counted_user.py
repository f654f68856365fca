"""A user as far as counting goes: a slot in the records of one epoch.

Users share a slot now and then; which ones do has nothing to do with their cohort, so tests stay exact
and only lose a little power.
"""

from dataclasses import dataclass, field
from typing import Literal

from xxhash import xxh3_64_intdigest

from sluice.flags.evaluation import Evaluation, Reason
from sluice.flags.view import FlagView

Cohort = Literal["control", "treatment"]
OTHER_TRAFFIC = "other"
"""Cohort label of requests that no percentage assigned, while others are: they are in no comparison."""

SLOTS = 2**20
"""Eight megabytes of Redis for each period's records; of 200,000 users a tenth share a slot."""
FULL_PERCENTAGE = 100


@dataclass(frozen=True, slots=True)
class CountedUser:
    """A user in one epoch, as far as counting goes; the slots do not show who it is.

    `lasting_slot`: the same in every epoch; None where only the token is known.
    """

    epoch: int
    slot: int
    lasting_slot: int | None = field(default=None, compare=False)

    @classmethod
    def from_user_id(cls, epoch: int, user_id: str) -> "CountedUser":
        slot = xxh3_64_intdigest(f"{epoch}/{user_id}".encode()) % SLOTS
        return cls(epoch, slot, xxh3_64_intdigest(user_id.encode()) % SLOTS)

    @property
    def token(self) -> str:
        """Short, for a query id: so that feedback finds its user in every process."""
        return f"{self.epoch:x}.{self.slot:x}"

    @classmethod
    def parse(cls, text: str) -> "CountedUser | None":
        """Return the user whose `token` this is; None for any other text."""
        try:
            epoch, slot = (int(part, 16) for part in text.split("."))
        except ValueError:
            return None
        return cls(epoch, slot) if epoch > 0 and 0 <= slot < SLOTS else None


def is_compared(
    view: FlagView, flag_name: str, evaluation: Evaluation, user_id: str | None
) -> bool:
    """Return False for requests by list or without a user id, while the percentage splits users."""
    flag = view.snapshot().flags.get(flag_name)
    if flag is None or not 0 < flag.rollout_percentage < FULL_PERCENTAGE:
        return True
    return bool(user_id) and evaluation.reason is not Reason.TARGETING_MATCH


def counted_user(
    view: FlagView, flag_name: str, evaluation: Evaluation, user_id: str | None
) -> CountedUser | None:
    """Return the user to count for `evaluation`; None where the user takes no part.

    Only users that the percentage alone assigned are comparable: a whitelist selects its users.
    """
    snapshot = view.snapshot()
    flag = snapshot.flags.get(flag_name)
    if not user_id or flag is None or not flag.epoch or evaluation.version != snapshot.version:
        return None
    is_random = evaluation.reason in (Reason.SPLIT, Reason.DEFAULT)
    if not is_random or not 0 < flag.rollout_percentage < FULL_PERCENTAGE:
        return None
    return CountedUser.from_user_id(flag.epoch, user_id)
