"""The staff handbook: one YAML file per chapter, read by ``pages``."""

from datetime import date
from importlib.resources import files
from typing import cast

import yaml

from sluice.demo.company.model import Page, Person

CHAPTERS = (
    "safety",
    "vehicles",
    "driving",
    "cargo",
    "cold_chain",
    "customs",
    "customers",
    "money",
    "people",
    "data",
)


class HandbookError(ValueError):
    """A chapter has an unknown owner or lacks a field; the message names the page."""


def pages(staff: tuple[Person, ...]) -> tuple[Page, ...]:
    """Return all pages in the order of the book, ids ``HB-<chapter>.<page>``.

    Raises:
        HandbookError: a page is incomplete or its owner's role does not exist.
    """
    owners = {person.role: person.id for person in reversed(staff)}
    return tuple(
        _page(f"HB-{place}.{number}", str(chapter["chapter"]), row, owners)
        for place, chapter in enumerate(map(_read, CHAPTERS), start=1)
        for number, row in enumerate(cast(list[dict[str, object]], chapter["pages"]), start=1)
    )


def _read(chapter: str) -> dict[str, object]:
    text = files(__package__).joinpath(f"{chapter}.yaml").read_text("utf-8")
    return cast(dict[str, object], yaml.safe_load(text))


def _page(number: str, chapter: str, row: dict[str, object], owners: dict[str, str]) -> Page:
    try:
        return Page(
            id=number,
            chapter=chapter,
            title=str(row["title"]),
            owner=owners[str(row["owner"])],
            revised_on=date.fromisoformat(str(row["revised"])),
            text=" ".join(str(row["text"]).split()),
            questions=tuple(cast(list[str], row["questions"])),
        )
    except KeyError as error:
        raise HandbookError(
            f"{number} {row.get('title')!r}: unknown owner or missing field {error}"
        ) from None
