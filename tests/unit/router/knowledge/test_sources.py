"""Files become records: stable ids, typed values, links; a bad line is named by its place."""

import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from router.knowledge.ingestion_summary import PROBLEMS_MAX, IngestionSummary
from router.knowledge.records import Link, Record
from router.knowledge.sources import (
    ParsedItem,
    SkippedFile,
    Source,
    SourceError,
    SourceProblem,
    count_unread,
    find_sources,
    load_source,
    parse_source,
)
from router.knowledge.sources.source import LINE_CHARS_MAX
from router.knowledge.sources.table_profile import COLUMNS_MAX
from sluice.cli.views.ingest import format_summary


def load_records(suffix: str, text: str, origin: str = "notes") -> list[ParsedItem]:
    return list(parse_source(Source(origin + suffix, suffix, text)))


def records(suffix: str, text: str, origin: str = "notes") -> list[Record]:
    found = load_records(suffix, text, origin)
    assert not [item for item in found if isinstance(item, SourceProblem)]
    return [item for item in found if isinstance(item, Record)]


def only_item(items: list[Record]) -> Record:
    (one,) = items
    return one


MARKDOWN = """---
title: Driving
owner: Julia Wrona
review: 2025-05-01
---
Who drives, and for how long. See [breaks](sub/breaks.md#short).

## Rest times
Rest after four hours.

```
## no heading in here
```

## Rest times
Another one.
"""


def test_markdown_has_a_record_per_section_and_knows_its_document() -> None:
    document, first, second = records(".md", MARKDOWN, "docs/driving")
    assert (document.id, document.title, document.kind) == (
        "docs/driving.md",
        "Driving",
        "document",
    )
    assert document.attributes == {"owner": "Julia Wrona", "review": "2025-05-01"}
    assert document.links == (Link("LINKS_TO", "docs/sub/breaks.md"),)
    assert first.id == "docs/driving.md#rest-times"
    assert "no heading in here" in first.text
    assert second.id == "docs/driving.md#rest-times-2"
    assert second.links == (Link("PART_OF", "docs/driving.md"),)


def test_a_long_section_is_cut_between_sentences() -> None:
    parts = records(".md", "# T\n\n## S\n" + "One sentence more. " * 200)[1:]
    assert len(parts) > 2
    assert all(len(part.text) <= 1200 and part.text.endswith(".") for part in parts)
    assert len({part.id for part in parts}) == len(parts)


def test_text_without_a_blank_is_still_bounded() -> None:
    assert all(len(part.text) <= 1200 for part in records(".txt", "x" * 5000))


def test_json_lines_take_known_fields_and_keep_the_rest_as_attributes() -> None:
    line = (
        '{"id": "INV-1", "name": "Invoice 1", "description": "To Baltic Foods.", "amount": 12.5,'
        ' "date": "2025-03-05", "tags": ["a", "b"], "links": ["UNDER:CON-1"], "paid": true}'
    )
    one = only_item(records(".jsonl", line, "invoices"))
    assert (one.id, one.kind, one.title, one.text) == (
        "invoices.jsonl#INV-1",
        "invoice",
        "Invoice 1",
        "To Baltic Foods.",
    )
    assert one.attributes == {
        "amount": 12.5,
        "tags": "a, b",
        "paid": True,
        "occurred_on": "2025-03-05",
    }
    assert one.links == (Link("UNDER", "CON-1"),)
    assert one.source == "invoices.jsonl#INV-1"


def test_a_record_without_id_keeps_its_name_while_it_does_not_change() -> None:
    first = only_item(records(".jsonl", '{"text": "a"}'))
    same = only_item(records(".jsonl", '\n\n{"text": "a"}'))
    other = only_item(records(".jsonl", '{"text": "b"}'))
    assert first.id == same.id != other.id


def test_csv_cells_have_types_and_the_delimiter_is_found() -> None:
    text = 'id;Title;Due date;Amount (EUR);Open;ZIP\n7;"A; b";2025-01-02;1500.50;true;01067\n'
    one = only_item(records(".csv", text, "open bills"))
    assert (one.kind, one.title) == ("open_bill", "A; b")
    expected = {"due_date": "2025-01-02", "amount_eur": 1500.5, "open": True, "zip": "01067"}
    assert one.attributes == expected
    assert one.text == "due date: 2025-01-02; amount eur: 1500.5; open: True; zip: 01067"


@pytest.mark.parametrize(
    ("suffix", "text", "place", "why"),
    [
        (".jsonl", '{"id": 1}\n{"id": ', "notes.jsonl:2", "not JSON"),
        (".jsonl", "[1]", "notes.jsonl:1", "an object is expected"),
        (".jsonl", '{"id": "a", "links": ["x"]}', "notes.jsonl:1", "KIND:target"),
        (".jsonl", '{"id": "a", "n": Infinity}', "notes.jsonl", "must be finite"),
        (".jsonl", '{"id": "a", "t": "x\\u0000y"}', "notes.jsonl:1", "U+0000"),
        (".jsonl", '{"id": "a", "t": "\\ud83d"}', "notes.jsonl:1", "U+D83D"),
        (".jsonl", '{"id": "a", "source": "javascript:alert(1)"}', "notes.jsonl:1", "http"),
        (".jsonl", '{"id": "a", "kind": "name"}', "notes.jsonl:1", "reserved"),
        (".jsonl", '{"id": "a", "kind": "a b"}', "notes.jsonl:1", "kind 'a b'"),
        (".jsonl", '{"id": "a", "date": "soon"}', "notes.jsonl", "line 1, 'soon'"),
        (".csv", "id,title\n1,a\n2,b,c\n", "notes.csv:3", "3 cells for 2 columns"),
        (".csv", 'id,title\n1,a\n2,"b\n', "notes.csv:3", "quotation mark not closed"),
        (".csv", '"id,title', "notes.csv:1", "quotation mark"),
        (".csv", "", "notes.csv", "empty"),
        (".jsonl", "\n", "notes.jsonl", "empty"),
        (".md", "  \n", "notes.md", "empty"),
        (".txt", "", "notes.txt", "empty"),
    ],
)
def test_a_source_error_names_its_location(suffix: str, text: str, place: str, why: str) -> None:
    problems = [item for item in load_records(suffix, text) if isinstance(item, SourceProblem)]
    assert [problem.location for problem in problems] == [place]
    assert why in problems[0].reason


def test_one_bad_line_leaves_the_others() -> None:
    found = load_records(".jsonl", '{"id": "a"}\nnonsense\n{"id": "b"}')
    assert [item.id for item in found if isinstance(item, Record)] == [
        "notes.jsonl#a",
        "notes.jsonl#b",
    ]


def test_folders_are_searched_in_order_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", ".hidden.md", "c.exe", ".git/x.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("text")
    assert [Path(str(name)).name for name in find_sources([str(tmp_path)])] == ["a.txt", "b.md"]
    assert count_unread([str(tmp_path), "https://example.com/x.exe"]) == {".exe": 1}


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "in.md").write_text("in")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    (folder / "same.md").symlink_to(folder / "in.md")
    found = list(find_sources([str(folder)]))
    assert [Path(name).name for name in found if isinstance(name, str)] == ["in.md", "same.md"]
    assert [skipped.reason for skipped in found if isinstance(skipped, SkippedFile)]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.txt"
    binary.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(SourceError, match="not a text"):
        load_source(str(binary))
    with pytest.raises(SourceError, match="no such file"):
        list(find_sources([str(tmp_path / "none.md")]))
    (tmp_path / "x.exe").write_text("x")
    with pytest.raises(SourceError, match=r"only \.md"):
        list(find_sources([str(tmp_path / "x.exe")]))


def test_a_page_is_named_by_its_title_and_read_without_its_navigation(tmp_path: Path) -> None:
    page = tmp_path / "about.html"
    page.write_text(
        "<title>About us</title><nav>Menu</nav><h1>About us</h1><p>We deliver.</p>"
        "<footer>Imprint</footer>"
    )
    (record,) = parse_source(load_source(str(page)))
    assert isinstance(record, Record)
    assert (record.title, record.text) == ("About us", "We deliver.")


def test_a_small_document_that_expands_without_bound_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.docx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(65 * 2**20))
    with pytest.raises(SourceError, match="unpacked it has 65 MiB"):
        load_source(str(bomb))


def test_memory_does_not_grow_with_bad_lines_or_new_names() -> None:
    """A million bad lines are counted, the first are shown; names that never repeat are refused."""
    summary = IngestionSummary()
    report = summary.open_report("notes.jsonl")
    for item in load_records(".jsonl", "x\n" * (PROBLEMS_MAX + 7)):
        summary.add(report, item)
    assert (len(summary.problems), summary.unlisted) == (PROBLEMS_MAX, 7)
    assert "… and 987 more left out (--json has 1000)" in format_summary(summary, dry_run=True)
    names = ", ".join(f'"name-{number}": 1' for number in range(COLUMNS_MAX + 1))
    with pytest.raises(SourceError, match="row 1 makes more than 10000 different columns"):
        load_records(".jsonl", f"{{{names}}}")


def test_a_line_that_is_too_long_leaves_the_others() -> None:
    long = f'{{"id": "b", "text": "{"x" * LINE_CHARS_MAX}"}}'
    items = load_records(".jsonl", f'{{"id": "a"}}\n{long}\n{{"id": "c"}}')
    assert [item.id for item in items if isinstance(item, Record)] == [
        "notes.jsonl#a",
        "notes.jsonl#c",
    ]
    (problem,) = [item for item in items if isinstance(item, SourceProblem)]
    assert (problem.location, "16 million" in problem.reason) == ("notes.jsonl:2", True)


class Site(BaseHTTPRequestHandler):
    """A web site whose paths ``/to?ADDRESS`` redirect to the address."""

    def do_GET(self) -> None:
        path, _, target = self.path.partition("?")
        if path == "/to":
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        body = b"# Policy\nDrive slowly.\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/markdown; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_redirect_within_the_host_is_followed(site: str) -> None:
    """The records keep the address that was named: the second run finds the same ones."""
    for target in ("/policy", f"{site}/policy", "/to?/policy"):
        source = load_source(f"{site}/to?{target}")
        assert (source.origin, source.suffix) == (f"{site}/to?{target}", ".md")
        assert "Drive slowly" in source.read_text()


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/policy",
        "//localhost/policy",
        "http://user@{host}/policy",
        "file:///etc/passwd",
        "gopher://{host}/",
    ],
)
def test_a_redirect_away_from_the_host_is_refused(site: str, target: str) -> None:
    address = f"{site}/to?{target.format(host=site.removeprefix('http://'))}"
    with pytest.raises(SourceError, match="another host"):
        load_source(address)


def test_a_redirect_without_end_is_refused(site: str) -> None:
    with pytest.raises(SourceError, match="more than 5 redirects"):
        load_source(f"{site}/to?" + "/to?" * 9 + "/policy")
