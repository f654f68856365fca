"""JSON lines files that are one array or object, and lines that hold something else."""

import pytest

from router.knowledge.records import Record
from router.knowledge.sources import ParsedItem, Source, SourceProblem, parse_source


def parse(text: str) -> list[ParsedItem]:
    return list(parse_source(Source("data.jsonl", ".jsonl", text)))


def records(items: list[ParsedItem]) -> list[Record]:
    return [item for item in items if isinstance(item, Record)]


def problems(items: list[ParsedItem]) -> list[SourceProblem]:
    return [item for item in items if isinstance(item, SourceProblem)]


@pytest.mark.parametrize(
    "text",
    [
        '[{"id": 1}, {"id": 2}]',
        '[\n  {"id": 1},\n  {"id": 2},\n]\n',
        '{"id": 1},\n{"id": 2},\n',
    ],
)
def test_an_array_of_objects_is_read_as_lines_are(text: str) -> None:
    items = parse(text)
    assert ([r.id for r in records(items)], problems(items)) == (
        ["data.jsonl#1", "data.jsonl#2"],
        [],
    )


def test_an_object_over_several_lines_is_one_record_and_those_of_its_lists() -> None:
    items = parse('{\n "people": [{"id": 1, "name": "Ann"}]\n}\n')
    assert [(r.id, r.title) for r in records(items)][1:] == [("data.jsonl#data/people/1", "Ann")]


@pytest.mark.parametrize("text", ['{"name": "tool"}', '{\n "name": "tool"\n}\n'])
def test_a_json_file_that_is_one_object_is_reported(text: str) -> None:
    """A folder's lock file would become a record of a thousand attributes."""
    (problem,) = parse_source(Source("package.json", ".json", text))
    assert isinstance(problem, SourceProblem)
    assert "one object" in problem.reason


def test_a_json_file_holds_an_array_or_lines() -> None:
    for text in ('[{"id": 1}, {"id": 2}]', '{"id": 1}\n{"id": 2}\n'):
        items = list(parse_source(Source("data.json", ".json", text)))
        assert [item.id for item in records(items)] == ["data.json#1", "data.json#2"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('[{"id": 1},\n {bad}]', 2, "the rest is not read"),
        ('[\n{"id": 1\n}\n', 3, "not closed"),
        ('[1]\n{"id": 1}', 1, "an object is expected"),
        ('// about\n{"id": 1}', 1, "take comments out"),
        ('{"id": 1}\n{"id": 2, "links": ["https://example.com"]}', 2, "KIND:target"),
        ('{"id": 1}\n{"id": {"x": 1}}', 2, "id: text or a number"),
    ],
)
def test_what_is_no_object_is_reported_by_its_line(text: str, line: int, reason: str) -> None:
    items = parse(text)
    (problem,) = problems(items)
    assert (problem.location, reason in problem.reason) == (f"data.jsonl:{line}", True)
    assert [record.id for record in records(items)] == ["data.jsonl#1"]


def test_a_text_in_pieces_is_one_text() -> None:
    (record,) = records(parse('{"id": 1, "title": ["A", "B"], "text": ["One.", "Two."]}'))
    assert (record.title, record.text) == ("A, B", "One.\n\nTwo.")
