"""A user as far as counting goes: a slot in the records of one epoch.

Users share a slot now and then; which ones do has nothing to do with their cohort, so tests stay exact
and only lose a little power.
"""

from dataclasses import dataclass
from typing import Literal

from xxhash import xxh3_64_intdigest

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.flags.evaluation import Evaluation, Reason
from sluice.flags.view import FlagView

Cohort = Literal["control", "treatment"]
OTHER_TRAFFIC = "other"
"""Cohort label of requests that no percentage assigned, while others are: they are in no comparison."""

SLOTS = 2**20
"""Eight megabytes of Redis for each period's records; of 200,000 users a tenth share a slot."""


@dataclass(frozen=True, slots=True)
class CountedUser:
    """A user in one epoch, as far as counting goes; the slots do not show who it is.

    `lasting_slot`: the same in every epoch. Epoch 0 is the time before a rollout, at 0 %.
    """

    epoch: int
    slot: int
    lasting_slot: int

    @classmethod
    def from_user_id(cls, epoch: int, user_id: str) -> "CountedUser":
        slot = xxh3_64_intdigest(f"{epoch}/{user_id}".encode()) % SLOTS
        return cls(epoch, slot, _lasting_slot(user_id))

    @classmethod
    def before_rollout(cls, user_id: str) -> "CountedUser":
        """Return the user as counted at 0 %."""
        slot = _lasting_slot(user_id)
        return cls(0, slot, slot)

    @property
    def token(self) -> str:
        """Short, for a query id: so that feedback finds its user in every process."""
        return f"{self.epoch:x}.{self.slot:x}.{self.lasting_slot:x}"

    @classmethod
    def parse(cls, text: str) -> "CountedUser | None":
        """Return the user whose `token` this is; None for any other text."""
        try:
            epoch, slot, lasting = (int(part, 16) for part in text.split("."))
        except ValueError:
            return None
        is_possible = epoch >= 0 and 0 <= slot < SLOTS and 0 <= lasting < SLOTS
        return cls(epoch, slot, lasting) if is_possible else None


def _lasting_slot(user_id: str) -> int:
    return xxh3_64_intdigest(user_id.encode()) % SLOTS


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
    At 0 % every user counts as before a rollout.
    """
    snapshot = view.snapshot()
    flag = snapshot.flags.get(flag_name)
    if not user_id or flag is None or not flag.epoch or evaluation.version != snapshot.version:
        return None
    is_random = evaluation.reason in (Reason.SPLIT, Reason.DEFAULT)
    if not is_random or flag.rollout_percentage >= FULL_PERCENTAGE:
        return None
    if not flag.rollout_percentage:
        return CountedUser.before_rollout(user_id)
    return CountedUser.from_user_id(flag.epoch, user_id)
