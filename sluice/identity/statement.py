"""The canonical statement of one decision: the bytes that a person signs.

Canonical form: JSON with sorted keys, without spaces, ASCII only, every field present. A text that
differs from the canonical form of its own values is refused, so duplicate keys cannot hide.
"""

import json
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_serializer

from sluice.identity.errors import StatementError
from sluice.rollout.engine.decision_context import DecisionContext

STATEMENT_BYTES_MAX = 8_000
Text = Annotated[str, Field(max_length=2_000)]


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must have a time zone, for example 2026-01-31T08:00:00Z")
    return value.astimezone(UTC).replace(microsecond=0)


class Statement(BaseModel):
    """One decision. ``percentage`` is the share of users (0–100) served when it was made.

    ``plan`` is the SHA-256 of the plan. ``evidence`` is the id of the check that the actor saw,
    empty when nothing was live. ``item`` and ``target`` are the arguments of attest,
    acknowledge and rollback.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rollout: Text
    run: Text
    plan: Text
    verb: Text
    step: Text
    percentage: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    evidence: Text
    item: Text
    target: Text
    actor: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Text
    time: Annotated[datetime, AfterValidator(_in_utc)]
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

    @field_serializer("time")
    def _as_rfc3339(self, value: datetime) -> str:
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def statement_of(context: DecisionContext, nonce: str) -> Statement:
    """Write the statement that authorizes the decision of ``context``; ``nonce`` is used once."""
    fields = set(Statement.model_fields) - {"nonce"}
    return Statement(**{name: getattr(context, name) for name in fields}, nonce=nonce)


def encode_statement(statement: Statement) -> str:
    """Encode a statement in its canonical form."""
    values = statement.model_dump(mode="json")
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def parse_statement(text: str) -> Statement:
    """Parse a canonical statement.

    Raises:
        StatementError: the text is too long, invalid, or not in canonical form.
    """
    if len(text) > STATEMENT_BYTES_MAX:
        raise StatementError(f"the statement has {len(text)} bytes; at most {STATEMENT_BYTES_MAX}")
    try:
        statement = Statement.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "statement"
        raise StatementError(f"statement field {field}: {problem['msg']}") from error
    if encode_statement(statement) != text:
        raise StatementError("the statement is not in canonical form: sign what `sluice` prints")
    return statement
