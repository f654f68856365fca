"""Markdown (CommonMark with tables): a record per section and table row, linked to its document.

Front matter gives the document's kind, title, date and attributes. Links to other Markdown files
become ``LINKS_TO``, so that the graph knows how documents hang together.
"""

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from router.knowledge.records import Link, Record
from router.knowledge.sources.chunks import CHUNK_CHARS, pack_blocks
from router.knowledge.sources.front_matter import split_front_matter, to_attributes
from router.knowledge.sources.html_blocks import HtmlContent
from router.knowledge.sources.naming import slug, to_kind
from router.knowledge.sources.source import (
    EMPTY_FILE,
    ParsedItems,
    ReadOptions,
    Source,
    SourceProblem,
)


@dataclass
class _Section:
    """A heading with the headings above it, and the blocks up to the next heading."""

    path: tuple[str, ...]
    level: int
    blocks: list[str] = field(default_factory=list)
    table_rows: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """The document, the kind and the anchor of a section's parts."""

    origin: str
    kind: str
    anchor: str


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def parse_markdown(source: Source, options: ReadOptions) -> ParsedItems:
    """Yield the document itself (its text before the first section) and its parts."""
    front = split_front_matter(source.read_text())
    attributes, problems = to_attributes(front, options)
    for line, reason in sorted(problems.items()):
        yield SourceProblem(f"{source.origin}:{line}", reason)
    body = front.body if front.body.strip() else str(attributes.get("description", ""))
    if not body.strip():
        reason = "below the front matter the file is empty" if front.fields else EMPTY_FILE
        yield SourceProblem(source.origin, reason)
        return
    tokens = _join_html(_parser().parse(body))
    heading, *sections = _split_sections(tokens, body.split("\n"))
    title = front.text("title") or (heading.path or ("",))[-1] or _file_title(source.origin)
    kind = to_kind(front.text("kind") or "document")
    links = tuple(dict.fromkeys(_document_links(source.origin, tokens)))
    first, *rest = pack_blocks(heading.blocks) or [_contents(title, sections)]
    yield Record(source.origin, kind, title, first, source.origin, attributes, links)
    used: dict[str, int] = {}
    place = _Place(source.origin, f"{kind}_part", slug(title))
    yield from _parts(place, title, [*rest, *heading.table_rows], first_number=2)
    for section in sections:
        name = slug(section.path[-1])
        used[name] = used.get(name, 0) + 1
        anchor = name if used[name] == 1 else f"{name}-{used[name]}"
        path = section.path[1:] if section.path[0] == title else section.path
        heading_text = " – ".join((title, *path))
        texts = [*pack_blocks(section.blocks), *section.table_rows]
        yield from _parts(_Place(source.origin, f"{kind}_part", anchor), heading_text, texts)


def _parts(place: _Place, title: str, texts: list[str], first_number: int = 1) -> Iterator[Record]:
    link = Link("PART_OF", place.origin)
    for number, text in enumerate(texts, start=first_number):
        address = f"{place.origin}#{place.anchor}" + (f".{number}" if number > 1 else "")
        yield Record(address, place.kind, title, text, address, {}, (link,))


def _contents(title: str, sections: list[_Section]) -> str:
    """Return the headings of a document that has no text of its own before the first of them."""
    names = "; ".join(section.path[-1] for section in sections)
    return f"{title}: {names}"[:CHUNK_CHARS] if names else title


def _file_title(origin: str) -> str:
    return posixpath.basename(origin)


def _split_sections(tokens: list[Token], lines: list[str]) -> list[_Section]:
    """Return the sections in order. The first is before any heading but the document's title."""
    sections = [_Section((), 0)]
    for position, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        if token.type == "heading_open":
            _open_section(sections, int(token.tag[1]), _plain(tokens[position + 1]))
        elif token.type == "table_open":
            _add_rows(sections[-1], _table_rows(tokens[position:]))
        elif token.type == "html_block":
            _add_html(sections[-1], token.content)
        elif token.type.endswith("_open") or token.type in ("fence", "code_block"):
            begin, end = token.map
            sections[-1].blocks += _block_parts(tokens, position, lines[begin:end])
    return sections


def _open_section(sections: list[_Section], level: int, title: str) -> None:
    last = sections[-1]
    is_document_title = len(sections) == 1 and not last.path and not last.blocks
    if is_document_title:
        last.path, last.level = (title,), level
        return
    above: tuple[str, ...] = ()
    for section in reversed(sections[1:]):
        if section.level < level:
            above = section.path
            break
    sections.append(_Section((*above, title), level))


def _block_parts(tokens: list[Token], position: int, lines: list[str]) -> list[str]:
    """Return a block's source. A long list is cut between its outermost items."""
    text = "\n".join(lines).rstrip()
    token = tokens[position]
    if len(text) <= CHUNK_CHARS or not token.type.endswith("list_open"):
        return [text]
    begin = token.map[0] if token.map else 0
    starts = [
        item.map[0] - begin
        for item in tokens[position + 1 :]
        if item.type == "list_item_open" and item.level == token.level + 1 and item.map
        and begin <= item.map[0] < begin + len(lines)
    ]  # fmt: skip
    ends = [*starts[1:], len(lines)]
    return ["\n".join(lines[a:b]).rstrip() for a, b in zip(starts, ends, strict=True)]


def _add_rows(section: _Section, rows: Iterable[list[str]]) -> None:
    """Add each row with the names of its columns: a row alone says nothing of its cells."""
    header: list[str] = []
    for cells in rows:
        if not any(header):  # converters of documents write an empty line above the first row
            header = cells
            continue
        pairs = zip_longest(header, cells, fillvalue="")
        row = "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)
        section.table_rows += pack_blocks([row])


def _table_rows(tokens: list[Token]) -> Iterator[list[str]]:
    cells: list[str] = []
    for position, token in enumerate(tokens):
        if token.type == "table_close":
            return
        if token.type in ("th_open", "td_open"):
            cells.append(_plain(tokens[position + 1]))
        elif token.type == "tr_close":
            yield cells
            cells = []


def _add_html(section: _Section, html: str) -> None:
    content = HtmlContent(html)
    section.blocks += [content.text] if content.text else []
    for rows in content.tables:
        _add_rows(section, rows)


def _join_html(tokens: list[Token]) -> list[Token]:
    """Return the tokens with neighbours of HTML as one: an empty line in a table does not end it."""
    joined: list[Token] = []
    for token in tokens:
        if token.type == "html_block" and joined and joined[-1].type == "html_block":
            joined[-1] = joined[-1].copy(content=f"{joined[-1].content}\n{token.content}")
        else:
            joined.append(token)
    return joined


def _plain(inline: Token) -> str:
    """Return the text of an inline token without its markup."""
    pieces = []
    for child in inline.children or ():
        if child.type in ("softbreak", "hardbreak") or _is_line_break(child):
            pieces.append(" ")
        elif child.type in ("text", "code_inline", "image"):
            pieces.append(child.content)
    return "".join(pieces).strip()


def _is_line_break(token: Token) -> bool:
    """Return True for HTML's ``<br>``, which writers use within table cells."""
    return token.type == "html_inline" and token.content.lower().startswith("<br")


def _document_links(origin: str, tokens: list[Token]) -> Iterator[Link]:
    for token in tokens:
        for child in token.children or ():
            target = str(child.attrGet("href") or "") if child.type == "link_open" else ""
            path = unquote(target.partition("#")[0])
            if "://" not in path and path.endswith((".md", ".markdown")):
                target_path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
                if target_path != origin:
                    yield Link("LINKS_TO", target_path)
