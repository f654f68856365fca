"""The answer to a query, with its cohort and the decisions behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from router.backends.base import Hit

Cohort = Literal["control", "treatment"]
AnswerOutcome = Literal["ok", "degraded", "error"]


@dataclass(frozen=True, slots=True)
class Answer:
    """``failures`` maps a store or model gone without to the reason; then the answer is degraded.

    ``left_out`` are conditions of the question, in words, that the results need not meet. Over a
    catalogue, ``interpretation`` is the question as understood, ``value`` the number or text asked for;
    ``phases_ms`` is where the time went, ``explanation`` what was decided (``router.observability.trace.note``).
    """

    query_id: str
    query: str
    intent: str
    confidence: float
    tier: str
    cohort: Cohort
    backends: tuple[str, ...]
    results: tuple[Hit, ...]
    cached: bool = False
    latency_ms: float = 0.0
    complexity: str = "simple"
    corrections: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    interpretation: str = ""
    value: int | float | str | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    phases_ms: Mapping[str, float] = field(default_factory=dict)
    explanation: Mapping[str, Any] = field(default_factory=dict)
    trace_id: str = ""

    @property
    def degraded(self) -> bool:
        return bool(self.failures)

    @property
    def outcome(self) -> AnswerOutcome:
        return "degraded" if self.failures else "ok"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values for the cache, without the trace. The parts are shared, not copied."""
        values = {name: getattr(self, name) for name in _CACHED_FIELDS}
        results = [{name: getattr(hit, name) for name in _HIT_FIELDS} for hit in self.results]
        return {**values, "results": results}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Answer":
        """Read the output of ``to_json``; raise TypeError or KeyError for anything else."""
        return cls(
            **{
                **data,
                "backends": tuple(data["backends"]),
                "corrections": tuple(data["corrections"]),
                "left_out": tuple(data.get("left_out", ())),
                "results": tuple(Hit(**hit) for hit in data["results"]),
            }
        )


_HIT_FIELDS = tuple(each.name for each in fields(Hit))
_TRACE_FIELDS = ("phases_ms", "explanation", "trace_id")
_CACHED_FIELDS = tuple(each.name for each in fields(Answer) if each.name not in _TRACE_FIELDS)
