"""FanOutQA as a knowledge base and questions: a public multi-hop set that a package registry has.

The wheel ``fanoutqa`` (PyPI; data CC BY-SA 4.0; Zhu, Hwang, Dugan, Callison-Burch 2024) carries 310
questions, each taken apart by people into the steps of its answer, and for each step the Wikipedia
page that has it. The pages themselves are not in it. So a record here is a page with everything that
the people of all questions took from it, step and answer; it links to the pages whose titles it
names, as a wiki's pages do. What a question's steps depend on is not used. Words of a step are often
words of its question, which makes this easier than whole Wikipedia; finding *every* page of a
question, most of them never named in it, is what is hard.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEMBER = "fanoutqa/data/fanout-final-dev.json"
MOST_PAGES = 10
"""Questions whose answer takes more pages can't have them all among ten results: left out."""
NAME_CHARS_MIN = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the ids of all records that its answer takes."""

    text: str
    wanted: frozenset[str]


@dataclass(slots=True)
class Page:
    """One Wikipedia page, as far as the questions' steps tell of it."""

    id: str
    title: str
    facts: dict[str, None] = field(default_factory=dict)  # in order, each once

    @property
    def text(self) -> str:
        return " ".join(self.facts)


def read(wheel: Path) -> tuple[list[Asked], str]:
    """The questions, and the knowledge base as JSON lines for ``sluice ingest``."""
    with zipfile.ZipFile(wheel) as archive:
        given: list[dict[str, Any]] = json.loads(archive.read(MEMBER))
    pages: dict[str, Page] = {}
    asked = []
    for question in given:
        wanted = frozenset(_note(step, pages) for step in _steps(question))
        if 1 < len(wanted) <= MOST_PAGES:
            asked.append(Asked(question["question"], wanted))
    names = _names(pages)
    return asked, "".join(json.dumps(_line(page, names)) + "\n" for page in pages.values())


def _steps(question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps that have a page of their own."""
    for step in question["decomposition"]:
        if step.get("evidence"):
            yield step
        yield from _steps(step)


def _note(step: dict[str, Any], pages: dict[str, Page]) -> str:
    evidence = step["evidence"]
    page = pages.setdefault(
        f"page-{evidence['pageid']}", Page(f"page-{evidence['pageid']}", evidence["title"])
    )
    page.facts[f"{step['question']} {_said(step['answer'])}."] = None
    return page.id


def _said(answer: object) -> str:
    if isinstance(answer, dict):
        return ", ".join(f"{name}: {_said(value)}" for name, value in answer.items())
    if isinstance(answer, list):
        return ", ".join(map(_said, answer))
    return str(answer)


def _names(pages: dict[str, Page]) -> dict[str, str]:
    """What a text may call a page: its title without "(baseball)"; the first page wins."""
    names: dict[str, str] = {}
    for page in pages.values():
        name = re.sub(r" \(.*\)$", "", page.title)
        if len(name) >= NAME_CHARS_MIN:
            names.setdefault(name, page.id)
    return names


def _line(page: Page, names: dict[str, str]) -> dict[str, Any]:
    text = page.text
    found = {
        target
        for name, target in names.items()
        if name in text and target != page.id and re.search(rf"\b{re.escape(name)}\b", text)
    }
    links = [{"kind": "mentions", "target": target} for target in sorted(found)]
    return {"id": page.id, "kind": "page", "title": page.title, "text": text, "links": links}
