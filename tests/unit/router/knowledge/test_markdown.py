"""Markdown as CommonMark has it: sections, tables, lists, front matter."""

import pytest

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


@pytest.mark.parametrize(
    ("front", "line", "reason", "attributes"),
    [
        (
            "---\ndate: 2024-13-45\na: 1\n---",
            2,
            "is not a date",
            {"a": 1, "date_text": "2024-13-45"},
        ),
        ("---\na: 1\ndate: 1/7/24\n---", 3, "--date-format", {"a": 1, "date_text": "1/7/24"}),
        ("---\na: 1\nb: x: y\n---", 3, "mapping values", {"a": 1}),
        ("---\nb: [\na: 1\n---", 2, "expected", {"a": 1}),
        ("---\na: 1\na: 2\n---", 3, "twice", {"a": 1}),
        ("---\na: &x 1\nb: *x\n---", 3, "alias", {"a": 1}),
        ("+++\na = 1\ndate = 2024-13-05\n+++", 3, "'date'", {"a": 1}),
    ],
)
def test_a_bad_field_of_front_matter_is_lost_alone(
    front: str, line: int, reason: str, attributes: dict[str, object]
) -> None:
    problem, document = parse_source(Source("x.md", ".md", f"{front}\n# Title\nText.\n"))
    assert isinstance(problem, SourceProblem)
    assert isinstance(document, Record)
    assert (problem.location, document.title) == (f"x.md:{line}", "Title")
    assert reason in problem.reason
    assert document.attributes == attributes


@pytest.mark.parametrize(
    ("front", "title", "attributes"),
    [
        ("---\ntitle: 1.10\nkind:\nn: ~\n---", "1.10", {}),
        ("---\ndate: March 5, 2024\n---", "Head", {"occurred_on": "2024-03-05"}),
        ("---\nog: {img: x}\nt: 12:30\nzip: '01'\n---", "Head", {"og.img": "x", "t": "12:30", "zip": "01"}),
        ("---\nid: intro\nSide Bar: 3\n---", "Head", {"id_value": "intro", "side_bar": 3}),
        ("---\na: !x 1\nb: [{c: 1}]\n---", "Head", {"a": 1, "b": '[{"c": 1}]'}),
        ('+++\ntitle = "T"\ndate = 2024-03-05\n[x]\ny = [1]\n+++', "T", {"x.y": "1", "occurred_on": "2024-03-05"}),
        ("---\n---", "Head", {}),
    ],
)  # fmt: skip
def test_front_matter_is_read_as_cells_are(
    front: str, title: str, attributes: dict[str, object]
) -> None:
    (document,) = records(f"{front}\n# Head\nText.\n")
    assert (document.title, document.attributes) == (title, attributes)
    assert document.text.endswith("Text.")


@pytest.mark.parametrize(
    "above", ["", "# Title\n", "Some text.\n", "Some text.\nNote: x\n", "- a\n"]
)
def test_a_rule_above_a_text_is_no_front_matter(above: str) -> None:
    text = f"---\n\n{above}Kept.\n\n---\nMore.\n"
    contents = " ".join(f"{record.title} {record.text}" for record in records(text))
    assert all(word in contents for word in ("Kept.", "More.", *above.split()[1:]))


def test_the_first_row_names_the_columns_under_an_empty_header() -> None:
    """Converters of documents write one: a table of a word processor has no header."""
    text = "# Leave\n\n|  |  |\n| --- | --- |\n| Role | Days |\n| Clerk | 28 |\n"
    assert [part.text for part in records(text)[1:]] == ["Role: Clerk; Days: 28"]


def test_html_gives_its_visible_text_and_the_rows_of_its_tables() -> None:
    table = (
        "<table>\n<tr><th>plan</th><th>price</th></tr>\n\n"
        "<tr><td>free<br>trial</td><td><b>0</b></td></tr><tr><td>team<td>5\n</table>"
    )
    text = f"# Plans\n\n<!-- to do -->\n<script>run()</script>\n\n{table}\n\n<div>All <i>monthly</i></div>\n"
    assert [record.text for record in records(text)] == [
        "All monthly",
        "plan: free trial; price: 0",
        "plan: team; price: 5",
    ]


@pytest.mark.parametrize(
    "html", ["<table><tr><td>a<table><tr><td>b", "<td>a</td>", "<![if x]>a", "<tr>"]
)
def test_html_that_is_broken_is_read_as_far_as_it_goes(html: str) -> None:
    assert records(f"# Title\n\n<div>a {html}\n")[0].title == "Title"


def test_a_link_with_blanks_finds_its_file() -> None:
    (document,) = records("# A\n[b](my%20file.md#part)\n")
    assert [link.target for link in document.links] == ["my file.md"]
