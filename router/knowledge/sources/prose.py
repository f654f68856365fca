"""Markdown and plain text: one record per section, linked to its document.

Front matter (``---``, simple ``key: value`` lines) gives the document's kind and attributes. Links
to other Markdown files become ``LINKS_TO``, so that the graph knows how documents hang together.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from router.knowledge.records import Attribute, Link, Record
from router.knowledge.sources.base import (
    EMPTY_FILE,
    ParsedItems,
    Source,
    SourceProblem,
    parse_cell,
    slug,
    split_chunks,
    to_kind,
)

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_LINK = re.compile(r"\]\(([^)\s]+)")
_RESERVED = frozenset({"id", "kind", "title", "text", "source", "links"})


@dataclass
class _Section:
    title: str
    lines: list[str] = field(default_factory=list)


def parse_markdown(source: Source) -> ParsedItems:
    """The document itself (its text before the first heading) and a record per section."""
    front, body = _split_front_matter(source.text)
    intro, *sections = _split_sections(body)
    title = str(front.get("title") or intro.title or posixpath.basename(source.origin))
    kind = to_kind(str(front.get("kind", "document")))
    attributes = {name: value for name, value in front.items() if name not in _RESERVED}
    if not body.strip():
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    first, *rest = split_chunks("\n".join(intro.lines)) or [title]
    links = tuple(dict.fromkeys(_extract_links(source.origin, body)))
    yield Record(source.origin, kind, title, first, source.origin, attributes, links)
    yield from _part_records(source, title, kind, slug(title) + "-", rest)
    taken: dict[str, int] = {}
    for section in sections:
        name = slug(section.title)
        taken[name] = taken.get(name, 0) + 1
        anchor = name if taken[name] == 1 else f"{name}-{taken[name]}"
        texts = split_chunks("\n".join(section.lines))
        yield from _part_records(source, f"{title} – {section.title}", kind, anchor, texts)


def parse_plain_text(source: Source) -> ParsedItems:
    """The first line is the title; the rest in pieces of whole paragraphs."""
    lines = source.text.strip().splitlines()
    if not lines:
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    title = lines[0].strip()[:120]
    first, *rest = split_chunks(source.text)
    yield Record(source.origin, "document", title, first, source.origin)
    yield from _part_records(source, title, "document", "part", rest)


def _part_records(
    source: Source, title: str, kind: str, anchor: str, texts: list[str]
) -> Iterator[Record]:
    for number, text in enumerate(texts, start=1):
        place = f"{source.origin}#{anchor}" + (f".{number}" if number > 1 else "")
        yield Record(
            place, f"{kind}_part", title, text, place, {}, (Link("PART_OF", source.origin),)
        )


def _split_front_matter(text: str) -> tuple[dict[str, Attribute], str]:
    found = _FRONT.match(text)
    if found is None:
        return {}, text
    pairs = (line.partition(":") for line in found[1].splitlines())
    values = {
        name.strip().lower(): parse_cell(value.strip().strip("'\"")) for name, _, value in pairs
    }
    return {n: v for n, v in values.items() if n and v is not None}, text[found.end() :]


def _split_sections(text: str) -> list[_Section]:
    """The first is what stands before any heading but the document's own title."""
    found, fenced = [_Section("")], False
    for line in text.splitlines():
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            found[-1].lines.append(line)
        elif len(found) == 1 and not found[0].title and not "".join(found[0].lines).strip():
            found[0].title = heading[2]
        else:
            found.append(_Section(heading[2]))
    return found


def _extract_links(origin: str, text: str) -> Iterator[Link]:
    for target in _LINK.findall(text):
        path = target.partition("#")[0]
        if "://" not in path and path.endswith((".md", ".markdown")):
            there = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
            if there != origin:
                yield Link("LINKS_TO", there)
