"""The propensity log: what was decided, how likely it was, what it earned. Oldest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from router.learning.decision_record import decode_vector
from router.learning.errors import NoEvidenceError
from router.learning.linucb import Vector
from router.learning.options import LearningKeys
from router.learning.store import decode_text

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One feedback as it was learned; ``context`` has shape (d,), ``reward`` is in [0, 1]."""

    context: Vector
    arm: str
    propensity: float
    reward: float
    query_id: str = ""
    cohort: str = "treatment"
    weights_version: int = 0


async def read_log(redis: Redis, environment: str, cohort: str | None = None) -> list[LogEntry]:
    """Every kept entry of a cohort (None: of all). Raises NoEvidenceError for a damaged entry."""
    key, after = LearningKeys(environment).log, "-"
    entries: list[LogEntry] = []
    while True:
        page: Any = await redis.xrange(key, min=after, count=PAGE)
        entries += [_parse_entry(entry_id, fields) for entry_id, fields in page]
        if len(page) < PAGE:
            break
        after = f"({decode_text(page[-1][0])}"
    return [entry for entry in entries if cohort is None or entry.cohort == cohort]


def _parse_entry(entry_id: bytes | str, fields: Mapping[Any, Any]) -> LogEntry:
    text_fields = {decode_text(name): decode_text(value) for name, value in fields.items()}
    try:
        return LogEntry(
            context=decode_vector(text_fields["context"]),
            arm=text_fields["arm"],
            propensity=float(text_fields["propensity"]),
            reward=float(text_fields["reward"]),
            query_id=text_fields["query_id"],
            cohort=text_fields["cohort"],
            weights_version=int(text_fields["weights_version"]),
        )
    except (KeyError, ValueError) as error:
        raise NoEvidenceError(f"log entry {decode_text(entry_id)} is damaged: {error!r}") from error
