"""The company as typed facts, before they become records.

Questions take their known answers from here, so a wrong answer cannot come from parsing text.
References between facts are ids. Money is in euro, distances in kilometres, weights in kilograms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Depot:
    id: str
    town: str
    country: str
    address: str
    docks: int
    cold_store: bool
    opened_on: date

    @property
    def name(self) -> str:
        return f"{self.town} depot"


@dataclass(frozen=True, slots=True)
class Person:
    """A person. ``kind`` is driver, dispatcher, mechanic, manager or employee; ``role`` is the job title."""

    id: str
    name: str
    kind: str
    role: str
    depot: str
    manager: str | None
    hired_on: date
    hazardous_goods: bool = False


@dataclass(frozen=True, slots=True)
class Truck:
    id: str
    make: str
    model: str
    year: int
    depot: str
    driver: str | None
    refrigerated: bool
    mileage_km: int
    status: str


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    town: str
    country: str
    industry: str
    tier: str
    account_manager: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract. ``value`` is in euro a year."""

    id: str
    customer: str
    manager: str
    depot: str
    service: str
    value: int
    signed_on: date
    ends_on: date
    status: str
    payment_days: int


@dataclass(frozen=True, slots=True)
class Invoice:
    id: str
    contract: str
    customer: str
    amount: int
    issued_on: date
    due_on: date
    paid_on: date | None
    status: str


@dataclass(frozen=True, slots=True)
class FreightRoute:
    id: str
    origin: str
    destination: str
    distance_km: int
    hours: float
    via: str


@dataclass(frozen=True, slots=True)
class Shipment:
    id: str
    contract: str
    customer: str
    route: str
    truck: str
    driver: str
    goods: str
    weight_kg: int
    departed_on: date
    delivered_on: date | None
    status: str


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident. ``people`` holds the driver first; ``narrative`` is prose without places."""

    id: str
    category: str
    cause: str
    severity: str
    status: str
    depot: str
    happened_on: date
    people: tuple[str, ...]
    truck: str
    shipment: str
    cost: int
    narrative: str


@dataclass(frozen=True, slots=True)
class Inspection:
    id: str
    truck: str
    mechanic: str
    done_on: date
    result: str
    finding: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the handbook, with ``questions`` that it answers."""

    id: str
    chapter: str
    title: str
    owner: str
    revised_on: date
    text: str
    questions: tuple[str, ...]


Fact = TypeVar(
    "Fact",
    Depot, Person, Truck, Customer, Contract, Invoice, FreightRoute, Shipment, Incident, Inspection, Page,
)  # fmt: skip


def by_id(facts: tuple[Fact, ...]) -> Mapping[str, Fact]:
    return {fact.id: fact for fact in facts}


@dataclass(frozen=True)
class Company:
    """All facts about the company on ``as_of``."""

    as_of: date
    depots: tuple[Depot, ...]
    people: tuple[Person, ...]
    trucks: tuple[Truck, ...]
    customers: tuple[Customer, ...]
    contracts: tuple[Contract, ...]
    invoices: tuple[Invoice, ...]
    routes: tuple[FreightRoute, ...]
    shipments: tuple[Shipment, ...]
    incidents: tuple[Incident, ...]
    inspections: tuple[Inspection, ...]
    pages: tuple[Page, ...]

    @cached_property
    def depot(self) -> Mapping[str, Depot]:
        return by_id(self.depots)

    @cached_property
    def person(self) -> Mapping[str, Person]:
        return by_id(self.people)

    @cached_property
    def truck(self) -> Mapping[str, Truck]:
        return by_id(self.trucks)

    @cached_property
    def customer(self) -> Mapping[str, Customer]:
        return by_id(self.customers)

    @cached_property
    def contract(self) -> Mapping[str, Contract]:
        return by_id(self.contracts)

    @cached_property
    def route(self) -> Mapping[str, FreightRoute]:
        return by_id(self.routes)

    @cached_property
    def shipment(self) -> Mapping[str, Shipment]:
        return by_id(self.shipments)
