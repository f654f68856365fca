"""Labelled questions in files: JSON lines of ``query``, ``intent`` and, if known, ``difficulty``."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from router.intent.labels import INTENTS, Example, IntentModelError

EXAMPLES_MIN = 5
"""Examples that an intent needs: held-out checks are fivefold."""
_EXAMPLE = TypeAdapter(Example)
_EXPECTED_FORMAT = '{"query": "…", "intent": "…"}'


def read_examples(path: Path, known: Collection[str] | None = INTENTS) -> list[Example]:
    """Read a file; empty lines are skipped. ``known`` None accepts every label.

    Raises:
        IntentModelError: no such file, or a line that can't be used, with its number and the reason.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntentModelError(f"{path}: cannot be read ({error.strerror})") from error
    return list(_parse_lines(path, content.removeprefix(b"\xef\xbb\xbf"), known))


def with_background(examples: Iterable[Example]) -> list[Example]:
    """Combine a team's examples with the project's; the team's label wins for equal questions.

    A few hundred examples alone cover few wordings, and no question out of scope.
    """
    team_examples = list(examples)
    known_queries = {example.query.lower() for example in team_examples}
    shipped = read_examples(Path(__file__).parent / "questions.jsonl")
    return team_examples + [
        example for example in shipped if example.query.lower() not in known_queries
    ]


def require_trainable(rows: Sequence[Example], known: Collection[str] | None = INTENTS) -> None:
    """Raise IntentModelError when these examples cannot train a model."""
    counts = Counter(row.intent for row in rows)
    unknown = sorted(set(counts) - set(counts if known is None else known))
    if unknown:
        raise IntentModelError(f"unknown intent {unknown[0]!r}; known are {', '.join(known or ())}")
    if len(counts) <= 1:
        raise IntentModelError(
            f"training needs examples of at least two intents, not of {len(counts)}"
        )
    rare = [name for name, count in counts.items() if count < EXAMPLES_MIN]
    if rare:
        raise IntentModelError(
            f"fewer than {EXAMPLES_MIN} examples of {rare[0]!r} ({counts[rare[0]]}); add some"
        )
    if any(not row.query.strip() for row in rows):
        raise IntentModelError("an example has an empty query")


def _parse_lines(path: Path, content: bytes, known: Collection[str] | None) -> Iterator[Example]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            try:
                yield _parse_line(line, known)
            except ValueError as error:
                raise IntentModelError(f"{path}:{number}: {error}") from error


def _parse_line(line: bytes, known: Collection[str] | None) -> Example:
    try:
        example = _EXAMPLE.validate_json(line.decode(), strict=True)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"])
        raise ValueError(
            f"expected {_EXPECTED_FORMAT} on a line of its own, but {location}{': ' * bool(location)}{first['msg']}"
        ) from error
    if not example.query.strip():
        raise ValueError("query is empty")
    if known is not None and example.intent not in known:
        raise ValueError(f"unknown intent {example.intent!r}; known are {', '.join(known)}")
    return example
