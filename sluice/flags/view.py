"""A process's view of the flags, and the lease until which it may serve them."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sluice.flags.document import FlagDocument, FlagState, RouterPhases
from sluice.flags.evaluation import (
    Evaluation,
    EvaluationTable,
    FlagRule,
    Reason,
    fresh_rules,
    stale_rules,
)

# Bound here: one global lookup instead of two attribute lookups in every evaluation.
_monotonic = time.monotonic
UNKNOWN_MAX = 100
"""Names of missing flags that are kept: a caller's typing errors must not grow the process."""


@dataclass(frozen=True)
class Snapshot:
    """An immutable copy of the last accepted document. `version` is 0 before the first."""

    version: int = 0
    phases: RouterPhases = field(default_factory=RouterPhases)
    flags: Mapping[str, FlagState] = field(default_factory=lambda: MappingProxyType({}))


class FlagView:
    """Evaluates the accepted snapshot while its lease holds; afterwards treatments are off.

    One thread may install and revoke; any number may evaluate. Nothing here does I/O.
    """

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._rules: dict[str, FlagRule] = {}
        self._stale_rules: dict[str, FlagRule] = {}
        self._good_read_at = -math.inf
        self._deadline = -math.inf
        self._previous_counts: Counter[str] = Counter()
        self._unknown_since: dict[str, float] = {}
        self._prepare(EvaluationTable(0))
        self._not_found = self._not_ready

    def evaluate(self, name: str, user_id: str) -> Evaluation:
        """Evaluate the flag for the user. Never raises, never waits."""
        try:
            if _monotonic() < self._deadline:
                return self._rules[name][user_id]()
            return self._stale_rules[name][user_id]()
        except KeyError:
            self._note_unknown(name)
            return self._not_found()
        except (TypeError, ValueError):
            return self._invalid()

    def evaluations(self) -> dict[str, int]:
        """Return how many evaluations ended with each reason."""
        total = self._table.counts_by_reason()
        total.update(self._previous_counts)
        return dict(total)

    def unknown_flags(self) -> dict[str, float]:
        """Return the flags that were asked for and are not there: seconds since the last time."""
        now, flags = _monotonic(), self.snapshot().flags
        unknown_since = tuple(self._unknown_since.items())
        return {name: now - at for name, at in unknown_since if name not in flags}

    def snapshot(self) -> Snapshot:
        """Return the last accepted document; an empty one before the first."""
        return self._snapshot or Snapshot()

    def phases(self) -> Mapping[str, bool]:
        """Return the router's switches: all off while stale."""
        phases = RouterPhases() if self.stale else self.snapshot().phases
        return phases.model_dump()

    @property
    def stale(self) -> bool:
        """True when the lease is over, or never began."""
        return not _monotonic() < self._deadline

    def lease_age_seconds(self) -> float:
        """Return the seconds since the last good read began; infinite before the first."""
        return _monotonic() - self._good_read_at

    def _note_unknown(self, name: str) -> None:
        if len(self._unknown_since) < UNKNOWN_MAX or name in self._unknown_since:
            self._unknown_since[name] = _monotonic()

    def _install(self, document: FlagDocument) -> None:
        flags, version = document.flags, document.version
        self._previous_counts.update(self._table.counts_by_reason())
        answers = EvaluationTable(version)
        self._prepare(answers)
        self._not_found = answers.add_evaluation(False, Reason.ERROR, "FLAG_NOT_FOUND")
        self._stale_rules = stale_rules(flags, answers)
        self._rules = fresh_rules(flags, answers)
        self._snapshot = Snapshot(version, document.phases, MappingProxyType(dict(flags)))

    def _prepare(self, table: EvaluationTable) -> None:
        self._table = table
        self._not_ready = table.add_evaluation(False, Reason.STALE, "PROVIDER_NOT_READY")
        self._invalid = table.add_evaluation(False, Reason.ERROR, "INVALID_ARGUMENT")

    def _renew(self, read_at: float, lease_seconds: float) -> None:
        self._good_read_at = read_at
        self._deadline = read_at + lease_seconds

    def _revoke(self) -> None:
        self._deadline = -math.inf
