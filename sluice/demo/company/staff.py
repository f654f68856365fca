"""Depots, people with their reporting lines, and trucks with their drivers."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date

from sluice.demo.company import vocabulary
from sluice.demo.company.model import Depot, Person, Truck
from sluice.demo.company.seeded_random import pick_working_day, random_stream, shuffled

DRIVERS_PER_DEPOT = 5
REFRIGERATED_PER_DEPOT = 2
HAZARDOUS_SHARE = 0.4
WORKSHOP_SHARE = 0.15
HIRED_FROM = date(2008, 1, 7)
EXPERIENCED_BY = date(2024, 9, 30)  # before the first contract in the books
NEWCOMERS_BY = date(2026, 8, 31)
SPARE_DEPOTS = 4  # depots that keep one truck without a driver
HEADS = (
    "head of operations",
    "head of finance",
    "head of people",
    "head of fleet",
    "head of sales",
    "head of safety",
    "head of IT",
)
# role, whom it reports to
OFFICE = (
    ("account manager", "head of sales"),
    ("account manager", "head of sales"),
    ("account manager", "head of sales"),
    ("account manager", "head of sales"),
    ("accountant", "head of finance"),
    ("accountant", "head of finance"),
    ("payroll clerk", "head of people"),
    ("training officer", "head of people"),
    ("customs officer", "head of operations"),
    ("claims handler", "head of finance"),
    ("data protection officer", "managing director"),
    ("IT administrator", "head of IT"),
)
HEADQUARTERS = "depot-flensburg"


def slug(name: str) -> str:
    """Turn ``Rafał Jankowski`` into ``rafal-jankowski``."""
    plain = name.replace("ł", "l").replace("Ł", "L").replace("ø", "o").replace("æ", "ae")
    plain = unicodedata.normalize("NFKD", plain.replace("ß", "ss"))
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def depots() -> tuple[Depot, ...]:
    return tuple(
        Depot(f"depot-{key}", town, country, street, docks, cold, date.fromisoformat(opened))
        for key, town, country, street, docks, cold, opened in vocabulary.DEPOTS
    )


class _Recruiter:
    """Assigner of names to roles, in a seeded order."""

    def __init__(self, seed: int) -> None:
        self._rng = random_stream(seed, "people")
        self._names: Iterator[str] = iter(shuffled(self._rng, vocabulary.NAMES))
        self.people: list[Person] = []

    def hire(self, kind: str, role: str, depot: Depot, manager: str | None) -> Person:
        name = next(self._names)
        newcomer = kind == "employee" and role != "account manager"
        last = NEWCOMERS_BY if newcomer else EXPERIENCED_BY
        hired = pick_working_day(self._rng, max(HIRED_FROM, depot.opened_on), last)
        trained = kind == "driver" and self._rng.random() < HAZARDOUS_SHARE
        person = Person(slug(name), name, kind, role, depot.id, manager, hired, trained)
        self.people.append(person)
        return person


def people(seed: int, depots: tuple[Depot, ...]) -> tuple[Person, ...]:
    """Generate the people, the managing director first; everyone else reports to an earlier one."""
    hiring = _Recruiter(seed)
    headquarters = next(place for place in depots if place.id == HEADQUARTERS)
    director = hiring.hire("manager", "managing director", headquarters, None)
    chiefs = {"managing director": director.id}
    for role in HEADS:
        chiefs[role] = hiring.hire("manager", role, headquarters, director.id).id
    for role, chief in OFFICE:
        hiring.hire("employee", role, headquarters, chiefs[chief])
    for depot in depots:
        _hire_crew(hiring, depot, chiefs)
    return tuple(hiring.people)


def _hire_crew(hiring: _Recruiter, depot: Depot, chiefs: dict[str, str]) -> None:
    manager = hiring.hire("manager", "depot manager", depot, chiefs["head of operations"])
    dispatcher = hiring.hire("dispatcher", "dispatcher", depot, manager.id)
    hiring.hire("employee", "warehouse lead", depot, manager.id)
    hiring.hire("mechanic", "mechanic", depot, chiefs["head of fleet"])
    for _ in range(DRIVERS_PER_DEPOT):
        hiring.hire("driver", "driver", depot, dispatcher.id)


def trucks(seed: int, depots: tuple[Depot, ...], staff: tuple[Person, ...]) -> tuple[Truck, ...]:
    """Generate a truck for each driver, of the same depot, and a few spare ones."""
    rng = random_stream(seed, "trucks")
    fleet = []
    number = 200
    for place, depot in enumerate(depots):
        crew: list[str | None] = [p.id for p in staff if p.kind == "driver" and p.depot == depot.id]
        if place < SPARE_DEPOTS:
            crew.append(None)
        for seat, driver in enumerate(crew):
            number += rng.randint(1, 3)
            make, model = rng.choice(vocabulary.MAKES)
            year = rng.randint(2016, 2025)
            mileage = (2026 - year) * rng.randint(78_000, 121_000) + rng.randint(8_000, 40_000)
            status = _truck_status(rng.random(), driver)
            cold = seat < REFRIGERATED_PER_DEPOT
            fleet.append(
                Truck(f"FL-{number}", make, model, year, depot.id, driver, cold, mileage, status)
            )
    return tuple(fleet)


def _truck_status(chance: float, driver: str | None) -> str:
    if driver is None:
        return "reserve"
    return "in workshop" if chance < WORKSHOP_SHARE else "in service"
