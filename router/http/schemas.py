"""Bodies of the HTTP interface (docs/contracts.md, "HTTP of a router process")."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from router.answer import Answer
from router.learning import UserFeedback

# A lone half of a surrogate pair is not text, and stores refuse it.
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Id = Annotated[str, Field(min_length=1, max_length=200)]


class QueryBody(BaseModel):
    """A question and who asks it."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"query": "Who drives truck T-12?", "user_id": "user_alice", "limit": 5},
                {
                    "query": "overdue invoices with amount_eur > 5000",
                    "user_id": "user_bob",
                    "seconds": 0.5,
                    "explain": True,
                },
            ]
        },
    )

    query: Text
    user_id: Id
    session_id: Id | None = None
    limit: int = Field(default=10, ge=1, le=50, description="results at most")
    seconds: float | None = Field(
        default=None,
        ge=0.05,
        le=60,
        description="answer within this, without late stores if need be",
    )
    explain: bool = Field(default=False, description="say what was decided, and where time went")


class ResultBody(BaseModel):
    """One record found; ``scores`` is what each backend gave it."""

    id: str
    title: str
    text: str
    source: str
    score: float
    kind: str
    occurred_on: str | None
    scores: dict[str, float]


class AnswerBody(BaseModel):
    """The answer, and enough of the decision to explain it."""

    query_id: str
    intent: str
    confidence: float
    tier: str
    cohort: str
    backends: list[str]
    results: list[ResultBody]
    cached: bool
    degraded: bool
    failures: dict[str, str]
    complexity: str
    corrections: list[str]
    left_out: list[str]
    interpretation: str = ""
    value: int | float | str | None = None
    latency_ms: float
    trace_id: str
    phases_ms: dict[str, float] | None = None
    explanation: dict[str, Any] | None = None


def answer_json(answer: Answer, *, explain: bool = False) -> bytes:
    """Return an ``AnswerBody`` as JSON. The answer is the router's own, so no model validates it."""
    fields = {name: getattr(answer, name) for name in _ANSWER_FIELDS}
    fields["confidence"] = round(answer.confidence, 4)
    fields["results"] = [
        {name: getattr(hit, name) for name in _RESULT_FIELDS} for hit in answer.results
    ]
    if not explain:
        fields |= {"phases_ms": None, "explanation": None}
    return to_json(fields, inf_nan_mode="null")


_RESULT_FIELDS = tuple(ResultBody.model_fields)
_ANSWER_FIELDS = tuple(AnswerBody.model_fields)


class FeedbackBody(BaseModel):
    """A user's signals about an answer; each may be missing."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "query_id": "t-0f3c…",
                    "clicked": True,
                    "click_position": 1,
                    "dwell_time_seconds": 34,
                }
            ]
        },
    )

    query_id: Id
    clicked: bool | None = None
    click_position: int | None = Field(default=None, ge=1, le=1_000_000)
    dwell_time_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    explicit_rating: float | None = Field(default=None, ge=1, le=5)
    result_count: int | None = Field(default=None, ge=0, le=1_000_000)
    latency_ms: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    complaint: bool = False

    def to_feedback(self) -> UserFeedback:
        """Raise InvalidFeedbackError for signals that contradict each other."""
        return UserFeedback(**self.model_dump(exclude={"complaint"}))


class ReceiptBody(BaseModel):
    """``outcome``: accepted, observed (control), duplicate, capped (the user's limit), late, empty."""

    outcome: str
    cohort: str
    reward: float | None


class ErrorBody(BaseModel):
    """The problem, in words."""

    detail: str | list[dict[str, Any]]
