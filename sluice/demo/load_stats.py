"""Statistics of the load generator, since the last status line and since the start."""

from collections import deque
from dataclasses import dataclass, field

from sluice.demo.company.questions.labeled_question import LabeledQuestion
from sluice.demo.users import TOP_RANKS, answer_rank

LATENCIES_KEPT_MAX = 50_000  # latencies stored for the final percentiles


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """One answered request."""

    latency_ms: float
    cached: bool
    degraded: bool
    is_answer_in_top: bool | None
    """True when a right record was among the first three; None when no record answers."""


@dataclass(slots=True)
class LoadStats:
    """Counters of one period."""

    sent: int = 0
    ok: int = 0
    errors: int = 0
    dropped: int = 0
    cached: int = 0
    degraded: int = 0
    answerable: int = 0
    in_top: int = 0
    feedback: int = 0
    feedback_errors: int = 0
    complaints: int = 0
    reward: float = 0.0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT_MAX))

    def add_answer(self, request: AnsweredRequest) -> None:
        self.ok += 1
        self.cached += request.cached
        self.degraded += request.degraded
        self.answerable += request.is_answer_in_top is not None
        self.in_top += bool(request.is_answer_in_top)
        self.latencies_ms.append(request.latency_ms)

    def add_feedback(self, reward: float | None, *, complaint: bool) -> None:
        self.feedback += 1
        self.complaints += complaint
        self.reward += reward or 0.0

    def summary(self) -> dict[str, int | float | None]:
        """Return latencies in milliseconds, and shares and mean reward from 0 to 1 (None without a sample)."""
        return {
            "sent": self.sent,
            "ok": self.ok,
            "errors": self.errors,
            "dropped": self.dropped,
            "p50_ms": self._percentile(0.50),
            "p99_ms": self._percentile(0.99),
            "cached_share": _share(self.cached, self.ok),
            "degraded_share": _share(self.degraded, self.ok),
            "found_share": _share(self.in_top, self.answerable),
            "feedback": self.feedback,
            "feedback_errors": self.feedback_errors,
            "complaints": self.complaints,
            "mean_reward": _share(self.reward, self.feedback),
        }

    def _percentile(self, share: float) -> float | None:
        ordered = sorted(self.latencies_ms)
        if not ordered:
            return None
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


def is_answer_in_top(question: LabeledQuestion, results: list[dict[str, object]]) -> bool | None:
    if not question.answers:
        return None
    place = answer_rank(question, results)
    return place is not None and place <= TOP_RANKS


def _share(part: float, total: int) -> float | None:
    return round(part / total, 4) if total else None
