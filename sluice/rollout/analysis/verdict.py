"""The outcome of a check, in Argo's words, and how many fold into one."""

import math
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from sluice.rollout.analysis.gate import Model, Severity


class Outcome(StrEnum):
    """From best to worst. A broken metric (Error) is not a bad release (Failed)."""

    SUCCESSFUL = "Successful"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"
    FAILED = "Failed"


_ORDER = list(Outcome)


class Effect(Model):
    """The treatment's effect against the control beside it, with an interval valid at any time.

    ``kind``: the treatment's rate over control's, or its mean less control's. None: not known yet.
    ``limit``: beyond it the treatment does harm.
    """

    kind: Literal["ratio", "difference"]
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None

    @classmethod
    def ratio(cls, estimate: float, interval: tuple[float, float], margin: float) -> "Effect":
        """Build a ratio; numbers that are not finite are not known."""
        known = [value if math.isfinite(value) else None for value in (estimate, *interval)]
        return cls(kind="ratio", estimate=known[0], low=known[1], high=known[2], limit=margin)

    @classmethod
    def difference(cls, estimate: float, interval: tuple[float, float], limit: float) -> "Effect":
        """Build a difference; numbers that are not finite are not known."""
        return cls.ratio(estimate, interval, limit).model_copy(update={"kind": "difference"})

    @property
    def unchanged(self) -> float:
        """Return the estimate of a treatment that changes nothing."""
        return 1.0 if self.kind == "ratio" else 0.0


class Verdict(Model):
    """The outcome of one gate, and the sentence with the numbers behind it.

    ``effect``: what a statistical gate knows of the treatment's effect.
    ``is_unmeasured``: there was nothing to judge (an error, no data), so the gate protects nobody.
    """

    gate: str
    outcome: Outcome
    reason: str
    value: float | None = None
    limit: float | None = None
    reference: float | None = None
    samples: float | None = None
    unit: str = ""
    direction: str = "below"
    dry_run: bool = False
    severity: Severity = Severity.P0
    is_unmeasured: bool = False
    effect: Effect | None = None


class Check(Model):
    """One look at all gates of a step. ``id`` names the evidence in the ledger."""

    id: str
    at: datetime
    step: str
    verdicts: tuple[Verdict, ...]

    @property
    def outcome(self) -> Outcome:
        return worst_outcome(verdict.outcome for verdict in self.verdicts if not verdict.dry_run)

    @property
    def reason(self) -> str:
        """The sentences of the verdicts that decided, or of all when everything is well."""
        deciding = [v for v in self.verdicts if not v.dry_run and v.outcome is self.outcome]
        return "; ".join(verdict.reason for verdict in deciding) or "nothing was measured"


def worst_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """Fold many outcomes into the worst; nothing measured is Inconclusive, never Successful."""
    return max(outcomes, key=_ORDER.index, default=Outcome.INCONCLUSIVE)
