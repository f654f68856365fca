"""Rules that a record keeps so that every store takes it."""

import re
from datetime import date

from router.errors import RouterError
from router.knowledge.records import Record

ID_CHARS_MAX = 500


_LABEL = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,62}$")


_RESERVED = frozenset({"id", "kind", "title", "text", "source", "embedding"})


_OWN_LABELS = frozenset({"name", "record"})


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates: no store takes them."""


class InvalidRecordError(RouterError):
    """A record can't be stored as it is; the message names the record and the field."""


def validate_record(record: Record) -> None:
    """Check that every store can take the record.

    Raises:
        InvalidRecordError: the message names the field.
    """
    if not record.id or len(record.id) > ID_CHARS_MAX:
        raise InvalidRecordError(
            f"record {record.id!r:.80}: an id has 1 to {ID_CHARS_MAX} characters"
        )
    for label in (record.kind, *(link.kind for link in record.links)):
        if not _LABEL.match(label):
            raise InvalidRecordError(
                f"record {record.id!r}: kind {label!r} must be letters, digits and _, at most 63"
            )
    if record.kind in _OWN_LABELS:
        raise InvalidRecordError(
            f"record {record.id!r}: kind {record.kind!r} is reserved: rename it"
        )
    _require_plain_text(record)
    reserved = _RESERVED & set(record.attributes)
    if reserved:
        raise InvalidRecordError(f"record {record.id!r}: rename attribute {min(reserved)!r}")
    parse_occurred_on(record)


def _require_plain_text(record: Record) -> None:
    texts = {"id": record.id, "title": record.title, "text": record.text, "source": record.source}
    texts |= {name: str(value) for name, value in record.attributes.items()}
    texts |= {f"name of {name!r}": name for name in record.attributes}
    texts |= {f"link {link.kind}": link.target for link in record.links}
    for name, text in texts.items():
        if match := _UNSTORABLE.search(text):
            raise InvalidRecordError(
                f"record {record.id!r:.80}: {name} has the character U+{ord(match[0]):04X}, "
                "which cannot be stored"
            )


def parse_occurred_on(record: Record) -> date | None:
    text = record.attributes.get("occurred_on")
    if text is None:
        return None
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        raise InvalidRecordError(
            f"record {record.id!r}: occurred_on is {text!r}; write an ISO date like 2025-03-31"
        ) from None
