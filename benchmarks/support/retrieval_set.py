"""FanOutQA as a knowledge base and questions: a public multi-hop set that a package registry has.

The wheel ``fanoutqa`` (PyPI; data CC BY-SA 4.0; Zhu, Hwang, Dugan, Callison-Burch 2024) carries 310
questions, each taken apart by people into the steps of its answer, and for each step the Wikipedia
page that has it. The pages themselves are not in it. So a record here is a page with everything that
the people of all questions took from it, step and answer; it links to the pages whose titles it
names, as a wiki's pages do. What a question's steps depend on is not used. Words of a step are often
words of its question, which makes this easier than whole Wikipedia; finding *every* page of a
question, most of them never named in it, is what is hard.

The wheel has 725 more questions, of the test split, with the pages they take and no steps. Those whose
pages are all known from the first split's steps are asked of the same records. No record was written
from their own steps, so few share their words, and nothing of the router was chosen with them in view.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEV, TEST = "fanoutqa/data/fanout-final-dev.json", "fanoutqa/data/fanout-final-test.json"
PAGES_MAX = 10
"""Questions whose answer takes more pages can't have them all among ten results: left out."""
NAME_CHARS_MIN = 4


@dataclass(frozen=True, slots=True)
class MultiHopQuestion:
    """A question and the ids of all records that its answer takes."""

    text: str
    page_ids: frozenset[str]


@dataclass(slots=True)
class WikiPage:
    """One Wikipedia page, as far as the questions' steps tell of it."""

    id: str
    title: str
    facts: dict[str, None] = field(default_factory=dict)  # in order, each once

    @property
    def text(self) -> str:
        return " ".join(self.facts)


def read_set(wheel: Path) -> tuple[list[MultiHopQuestion], list[MultiHopQuestion], str]:
    """Return the questions of both splits, and the knowledge base as JSON lines for ``sluice ingest``."""
    with zipfile.ZipFile(wheel) as archive:
        dev, test = (json.loads(archive.read(member)) for member in (DEV, TEST))
    pages: dict[str, WikiPage] = {}
    known = [
        (each["question"], {_record_step(step, pages) for step in _steps(each)}) for each in dev
    ]
    held = [(each["question"], {_id(page) for page in each["necessary_evidence"]}) for each in test]
    names = _page_names(pages)
    lines = "".join(json.dumps(_record_line(page, names)) + "\n" for page in pages.values())
    return _answerable_questions(known, pages), _answerable_questions(held, pages), lines


def _answerable_questions(
    given: Iterable[tuple[str, set[str]]], pages: Mapping[str, WikiPage]
) -> list[MultiHopQuestion]:
    return [
        MultiHopQuestion(text, frozenset(wanted))
        for text, wanted in given
        if 1 < len(wanted) <= PAGES_MAX and wanted <= pages.keys()
    ]


def _steps(question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the steps that have their own page."""
    for step in question["decomposition"]:
        if step.get("evidence"):
            yield step
        yield from _steps(step)


def _record_step(step: dict[str, Any], pages: dict[str, WikiPage]) -> str:
    evidence = step["evidence"]
    page = pages.setdefault(_id(evidence), WikiPage(_id(evidence), evidence["title"]))
    page.facts[f"{step['question']} {_answer_text(step['answer'])}."] = None
    return page.id


def _id(evidence: Mapping[str, Any]) -> str:
    return f"page-{evidence['pageid']}"


def _answer_text(answer: object) -> str:
    if isinstance(answer, dict):
        return ", ".join(f"{name}: {_answer_text(value)}" for name, value in answer.items())
    if isinstance(answer, list):
        return ", ".join(map(_answer_text, answer))
    return str(answer)


def _page_names(pages: dict[str, WikiPage]) -> dict[str, str]:
    """Map names in texts to pages: a title without "(baseball)"; the first page wins."""
    names: dict[str, str] = {}
    for page in pages.values():
        name = re.sub(r" \(.*\)$", "", page.title)
        if len(name) >= NAME_CHARS_MIN:
            names.setdefault(name, page.id)
    return names


def _record_line(page: WikiPage, names: dict[str, str]) -> dict[str, Any]:
    text = page.text
    found = {
        target
        for name, target in names.items()
        if name in text and target != page.id and re.search(rf"\b{re.escape(name)}\b", text)
    }
    links = [{"kind": "mentions", "target": target} for target in sorted(found)]
    return {"id": page.id, "kind": "page", "title": page.title, "text": text, "links": links}
