"""Markdown as CommonMark has it: sections, tables, lists, front matter."""

from router.knowledge.records import Record
from router.knowledge.sources import Source, SourceProblem, parse_source
from router.knowledge.sources.chunks import CHUNK_CHARS


def records(text: str) -> list[Record]:
    items = list(parse_source(Source("guide.md", ".md", text)))
    assert not [item for item in items if isinstance(item, SourceProblem)]
    return [item for item in items if isinstance(item, Record)]


def test_a_section_without_text_is_no_record_and_its_heading_is_in_its_parts_titles() -> None:
    _, part = records("# Guide\nHello.\n\n## Uninstall\n\n### Linux\nRemove it.\n")
    assert (part.title, part.text) == ("Guide – Uninstall – Linux", "Remove it.")


def test_headings_are_read_as_commonmark_has_them() -> None:
    text = "Guide\n=====\nIntro.\n\nSetup\n-----\nRun.\n\n## C#\nText.\n\n    # code\n"
    assert [record.title for record in records(text)] == ["Guide", "Guide – Setup", "Guide – C#"]


def test_a_table_row_carries_the_names_of_its_columns() -> None:
    text = "# Limits\n\n| plan | users |\n|---|---|\n| free | 5 |\n| team<br>wide | `50` |\n"
    assert [part.text for part in records(text)[1:]] == [
        "plan: free; users: 5",
        "plan: team wide; users: 50",
    ]


def test_a_long_list_is_cut_between_its_items() -> None:
    items = "\n".join(f"- item {n} " + "word " * 30 + f"\n  - below {n}" for n in range(20))
    texts = [record.text for record in records(f"# Long\n\n{items}\n")]
    assert all(text.lstrip().startswith("- item") for text in texts)
    assert max(map(len, texts)) <= CHUNK_CHARS


def test_front_matter_gives_kind_date_and_attributes() -> None:
    text = "---\nkind: policies\ndate: 2024-03-05\ntags: [a, b]\n---\n# Rest\nText.\n"
    document = records(text)[0]
    assert (document.kind, document.attributes) == (
        "policy",
        {"tags": "a, b", "occurred_on": "2024-03-05"},
    )


def test_front_matter_that_is_no_yaml_is_reported_and_the_text_is_read() -> None:
    items = list(parse_source(Source("x.md", ".md", "---\na: [\n---\nText.\n")))
    assert [type(item) for item in items] == [SourceProblem, Record]


def test_the_first_row_names_the_columns_under_an_empty_header() -> None:
    """Converters of documents write one: a table of a word processor has no header."""
    text = "# Leave\n\n|  |  |\n| --- | --- |\n| Role | Days |\n| Clerk | 28 |\n"
    assert [part.text for part in records(text)[1:]] == ["Role: Clerk; Days: 28"]
