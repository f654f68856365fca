"""Evaluations, and the table from user id to evaluation that a flag becomes.

Order: unknown flag, kill latch, stale, blacklist, whitelist, percentage, default. Reasons are
OpenFeature's. Every evaluation a flag can give is built once, when its document arrives. A user's
is chosen once: after that an evaluation is two look-ups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from operator import length_hint

from sluice.flag_rules import USER_ID_LENGTH_MAX
from sluice.flags.bucketing import BUCKET_FUNCTIONS, threshold
from sluice.flags.document import FlagState

TREATMENT, CONTROL = "treatment", "control"
CACHED_USERS_MAX = 50_000
_COUNTDOWN_START = 2**62


class Reason(StrEnum):
    """The reason of an evaluation; OpenFeature's names."""

    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    DEFAULT = "DEFAULT"
    DISABLED = "DISABLED"
    STALE = "STALE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One answer. `version` is that of its document; 0 without a document.

    `detail` narrows the reason: WHITELIST, BLACKLIST, KILLED, FLAG_NOT_FOUND,
    INVALID_ARGUMENT, PROVIDER_NOT_READY, LEASE_EXPIRED or UNCONFIRMED.
    """

    enabled: bool
    reason: Reason
    variant: str
    version: int
    detail: str = ""


CountedEvaluation = Callable[[], Evaluation]
Decider = Callable[[str], CountedEvaluation]


class EvaluationTable:
    """The evaluations of one document, and how often each was given.

    An evaluation is the `__next__` of `repeat(evaluation, 2**62)`: giving and counting it is one
    atomic step of 20 ns. The iterator's length hint is the count.
    """

    def __init__(self, version: int) -> None:
        self._version = version
        self._counted: list[tuple[Reason, repeat[Evaluation]]] = []

    def add_evaluation(self, enabled: bool, reason: Reason, detail: str = "") -> CountedEvaluation:
        """Return a function that gives this evaluation and counts it."""
        variant = TREATMENT if enabled else CONTROL
        evaluation = Evaluation(enabled, reason, variant, self._version, detail)
        counted = repeat(evaluation, _COUNTDOWN_START)
        self._counted.append((reason, counted))
        return counted.__next__

    def counts_by_reason(self) -> Counter[str]:
        """Return how many evaluations ended with each reason."""
        total = Counter({str(reason): 0 for reason in Reason})
        for reason, counted in self._counted:
            total[str(reason)] += _COUNTDOWN_START - length_hint(counted)
        return total


class FlagRule(dict[str, CountedEvaluation]):
    """A flag's table from user id to evaluation, filled at each user's first request."""

    __slots__ = ("_decide",)

    def __init__(self, decide: Decider) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, user: str) -> CountedEvaluation:
        """Decide for a new user; raise TypeError or ValueError for anything but a user id."""
        if not isinstance(user, str) or not user:
            raise ValueError("a user id is a text of at least one character")
        answer = self._decide(user)
        if len(user) <= USER_ID_LENGTH_MAX:
            if len(self) >= CACHED_USERS_MAX:
                self.clear()
            self[user] = answer
        return answer


def fresh_rules(flags: Mapping[str, FlagState], table: EvaluationTable) -> dict[str, FlagRule]:
    """Return the rule of every flag for as long as the lease holds."""
    return {name: FlagRule(_fresh_decider(flag, table)) for name, flag in flags.items()}


def stale_rules(flags: Mapping[str, FlagState], table: EvaluationTable) -> dict[str, FlagRule]:
    """Return the rule of every flag once the lease is over: off, unless the flag may hold."""
    return {
        name: FlagRule(_stale_decider(flag, table, "LEASE_EXPIRED")) for name, flag in flags.items()
    }


def _fresh_decider(flag: FlagState, answers: EvaluationTable) -> Decider:
    if flag.confirmed:
        return _killed_decider(flag, answers) or _targeting_decider(flag, answers)
    return _stale_decider(flag, answers, "UNCONFIRMED")


def _stale_decider(flag: FlagState, answers: EvaluationTable, detail: str) -> Decider:
    if killed := _killed_decider(flag, answers):
        return killed
    if flag.on_stale == "hold":
        return _targeting_decider(flag, answers)
    return _constant_decider(answers.add_evaluation(False, Reason.STALE, detail))


def _killed_decider(flag: FlagState, answers: EvaluationTable) -> Decider | None:
    return (
        _constant_decider(answers.add_evaluation(False, Reason.DISABLED, "KILLED"))
        if flag.killed
        else None
    )


def _constant_decider(answer: CountedEvaluation) -> Decider:
    return lambda _user: answer


def _targeting_decider(flag: FlagState, answers: EvaluationTable) -> Decider:
    whitelisted = answers.add_evaluation(True, Reason.TARGETING_MATCH, "WHITELIST")
    blacklisted = answers.add_evaluation(False, Reason.TARGETING_MATCH, "BLACKLIST")
    inside = answers.add_evaluation(True, Reason.SPLIT)
    outside = answers.add_evaluation(flag.default_enabled, Reason.DEFAULT)
    bucket, limit = BUCKET_FUNCTIONS[flag.hash_version], threshold(flag.rollout_percentage)

    def decide(user: str) -> CountedEvaluation:
        if user in flag.blacklist:
            return blacklisted
        if user in flag.whitelist:
            return whitelisted
        return inside if bucket(flag.name, user) < limit else outside

    return decide
