"""What an evaluation answers, and how a flag becomes a table from user id to answer.

Order: unknown flag, kill latch, stale, blacklist, whitelist, percentage, default. Reasons are
OpenFeature's. Every answer a flag can give is built once, when its document arrives, and which
one a user gets is worked out once per user: after that an evaluation is two look-ups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from operator import length_hint

from router.flags.bucketing import BUCKET_OF, threshold
from router.flags.model import FlagState
from router.flags.validation import USER_ID_LENGTH_MAX

TREATMENT, CONTROL = "treatment", "control"
REMEMBERED_USERS_MAX = 50_000
_TALLY_START = 2**62


class Reason(StrEnum):
    """Why an evaluation answered as it did; OpenFeature's names."""

    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    DEFAULT = "DEFAULT"
    DISABLED = "DISABLED"
    STALE = "STALE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One answer. `version` is the document it came from; 0 when there is none.

    `detail` narrows the reason: WHITELIST, BLACKLIST, KILLED, FLAG_NOT_FOUND,
    INVALID_ARGUMENT, PROVIDER_NOT_READY, LEASE_EXPIRED or UNCONFIRMED.
    """

    enabled: bool
    reason: Reason
    variant: str
    version: int
    detail: str = ""


Answer = Callable[[], Evaluation]
Decide = Callable[[str], Answer]


class Answers:
    """The answers of one document, and how often each was given.

    An answer is the `__next__` of `repeat(evaluation, 2**62)`: giving and counting it is one
    atomic step of 20 ns, and the iterator's length hint tells how often that happened.
    """

    def __init__(self, version: int) -> None:
        self._version = version
        self._counted: list[tuple[Reason, repeat[Evaluation]]] = []

    def answer(self, enabled: bool, reason: Reason, detail: str = "") -> Answer:
        """Return the function that gives, and counts, this evaluation."""
        variant = TREATMENT if enabled else CONTROL
        evaluation = Evaluation(enabled, reason, variant, self._version, detail)
        counted = repeat(evaluation, _TALLY_START)
        self._counted.append((reason, counted))
        return counted.__next__

    def given(self) -> Counter[str]:
        """Return how many evaluations ended with each reason."""
        total = Counter({str(reason): 0 for reason in Reason})
        for reason, counted in self._counted:
            total[str(reason)] += _TALLY_START - length_hint(counted)
        return total


class Rule(dict[str, Answer]):
    """A flag's table from user id to answer. A user's is worked out, and kept, on first sight."""

    __slots__ = ("_decide",)

    def __init__(self, decide: Decide) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, user: str) -> Answer:
        """Decide for a new user; raise TypeError or ValueError if it is no user id."""
        if not isinstance(user, str) or not user:
            raise ValueError("a user id is a text of at least one character")
        answer = self._decide(user)
        if len(user) <= USER_ID_LENGTH_MAX:
            if len(self) >= REMEMBERED_USERS_MAX:
                self.clear()
            self[user] = answer
        return answer


def fresh_rules(flags: Mapping[str, FlagState], answers: Answers) -> dict[str, Rule]:
    """Return the rule of every flag for as long as the lease holds."""
    return {name: Rule(_fresh(flag, answers)) for name, flag in flags.items()}


def stale_rules(flags: Mapping[str, FlagState], answers: Answers) -> dict[str, Rule]:
    """Return the rule of every flag once the lease is over: off, unless the flag may hold."""
    return {name: Rule(_stale(flag, answers, "LEASE_EXPIRED")) for name, flag in flags.items()}


def _fresh(flag: FlagState, answers: Answers) -> Decide:
    if flag.confirmed:
        return _if_killed(flag, answers) or _targeted(flag, answers)
    return _stale(flag, answers, "UNCONFIRMED")


def _stale(flag: FlagState, answers: Answers, detail: str) -> Decide:
    if killed := _if_killed(flag, answers):
        return killed
    if flag.on_stale == "hold":
        return _targeted(flag, answers)
    return _constant(answers.answer(False, Reason.STALE, detail))


def _if_killed(flag: FlagState, answers: Answers) -> Decide | None:
    return _constant(answers.answer(False, Reason.DISABLED, "KILLED")) if flag.killed else None


def _constant(answer: Answer) -> Decide:
    return lambda _user: answer


def _targeted(flag: FlagState, answers: Answers) -> Decide:
    chosen = answers.answer(True, Reason.TARGETING_MATCH, "WHITELIST")
    barred = answers.answer(False, Reason.TARGETING_MATCH, "BLACKLIST")
    inside = answers.answer(True, Reason.SPLIT)
    outside = answers.answer(flag.default_enabled, Reason.DEFAULT)
    bucket, limit = BUCKET_OF[flag.hash_version], threshold(flag.rollout_percentage)

    def decide(user: str) -> Answer:
        if user in flag.blacklist:
            return barred
        if user in flag.whitelist:
            return chosen
        return inside if bucket(flag.name, user) < limit else outside

    return decide
