"""Parse the bodies that the flags server takes."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.types import Receive

from sluice.flag_rules import USER_ID_LENGTH_MAX

BODY_BYTES_MAX = 1_000_000
BODY_SECONDS_MAX = 10.0
OUTCOMES_MAX = 1_000
SECONDS_MAX = 86_400.0
PARSE_ERROR, INVALID_CONTEXT, GENERAL = "PARSE_ERROR", "INVALID_CONTEXT", "GENERAL"


class BadRequestError(Exception):
    """A body that cannot be used; `code` is OpenFeature's error code."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class ReportedOutcome(BaseModel):
    """One request as a service reports it: the user, its success and time, or its score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flag: str
    user: Annotated[str, Field(min_length=1, max_length=USER_ID_LENGTH_MAX)]
    ok: bool | None = None
    seconds: Annotated[float, Field(ge=0, le=SECONDS_MAX, allow_inf_nan=False)] | None = None
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _require_content(self) -> Self:
        if (self.ok is None) != (self.seconds is None):
            raise ValueError("give ok and seconds together")
        if self.ok is None and self.score is None:
            raise ValueError("give ok and seconds, or score, or all three")
        return self


class ReportedOutcomes(BaseModel):
    """The body of `POST /outcomes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: Annotated[tuple[ReportedOutcome, ...], Field(min_length=1, max_length=OUTCOMES_MAX)]


async def read_body(receive: Receive) -> bytes:
    """Return the whole body; raise BadRequestError when it is too large, too slow or cut off."""
    chunks: list[bytes] = []
    size, has_more = 0, True
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            while has_more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BadRequestError(PARSE_ERROR, "the body is not complete")
                chunks.append(message.get("body", b""))
                has_more = message.get("more_body", False)
                size += len(chunks[-1])
                if size > BODY_BYTES_MAX:
                    details = f"the body is above {BODY_BYTES_MAX} bytes"
                    raise BadRequestError(PARSE_ERROR, details)
    except TimeoutError:
        details = f"the body took longer than {BODY_SECONDS_MAX:g} s"
        raise BadRequestError(PARSE_ERROR, details) from None
    return b"".join(chunks)


def parse_outcomes(body: bytes) -> tuple[ReportedOutcome, ...]:
    """Return the outcomes; raise BadRequestError that names the field."""
    try:
        return ReportedOutcomes.model_validate_json(body).outcomes
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "body"
        raise BadRequestError(GENERAL, f"{field}: {problem['msg']}") from None


def parse_targeting_key(body: bytes) -> str | None:
    """Return the context's targeting key, or None; raise BadRequestError."""
    try:
        document: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise BadRequestError(PARSE_ERROR, "the body is not JSON") from None
    context = document.get("context", {}) if isinstance(document, dict) else None
    if not isinstance(context, dict):
        details = 'write the body as {"context": {"targetingKey": "USER"}}'
        raise BadRequestError(INVALID_CONTEXT, details)
    key = context.get("targetingKey")
    if key is None or key == "":
        return None
    if not isinstance(key, str) or len(key) > USER_ID_LENGTH_MAX or not _is_unicode(key):
        details = f"targetingKey must be a text of at most {USER_ID_LENGTH_MAX} characters"
        raise BadRequestError(INVALID_CONTEXT, details)
    return key


def _is_unicode(text: str) -> bool:
    """Return False for a lone surrogate, which JSON can spell and UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
