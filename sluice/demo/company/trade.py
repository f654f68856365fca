"""Customers, their contracts and their invoices."""

import random
from datetime import date, timedelta

from sluice.demo.company import vocabulary
from sluice.demo.company.model import Contract, Customer, Depot, Invoice, Person, by_id
from sluice.demo.company.seeded_random import (
    AS_OF,
    BOOKS_FROM,
    pick_working_day,
    random_stream,
    shuffled,
)
from sluice.demo.company.staff import slug

CONTRACT_COUNT = 54
INVOICE_COUNT = 190
TERMINATED_SHARE = 0.08
UNPAID_SHARE = 0.16
TIERS = ("gold", "silver", "silver", "bronze", "bronze")
SERVICES = ("full load", "groupage", "container drayage", "express")


def customers(seed: int, staff: tuple[Person, ...]) -> tuple[Customer, ...]:
    rng = random_stream(seed, "customers")
    managers = [person.id for person in staff if person.role == "account manager"]
    return tuple(
        Customer(
            slug(name),
            name,
            town,
            country,
            industry,
            rng.choice(TIERS),
            managers[place % len(managers)],
        )
        for place, (name, town, country, industry) in enumerate(vocabulary.CUSTOMERS)
    )


def contracts(
    seed: int, customers: tuple[Customer, ...], depots: tuple[Depot, ...]
) -> tuple[Contract, ...]:
    """Generate a contract for every customer, and second ones for random customers."""
    rng = random_stream(seed, "contracts")
    repeat_customers = rng.sample(list(customers), CONTRACT_COUNT - len(customers))
    signing = [*shuffled(rng, customers), *repeat_customers]
    return tuple(_make_contract(rng, 301 + at, buyer, depots) for at, buyer in enumerate(signing))


def _make_contract(
    rng: random.Random, number: int, buyer: Customer, places: tuple[Depot, ...]
) -> Contract:
    chilled = buyer.industry in vocabulary.CHILLED
    depot = rng.choice([place for place in places if place.cold_store or not chilled])
    signed = pick_working_day(rng, BOOKS_FROM, date(2026, 6, 30))
    ends = signed + timedelta(days=rng.choice((365, 365, 547, 730)))
    return Contract(
        id=f"CON-{number}",
        customer=buyer.id,
        manager=buyer.account_manager,
        depot=depot.id,
        service="refrigerated transport" if chilled else rng.choice(SERVICES),
        value=rng.randint(24, 480) * 1000,
        signed_on=signed,
        ends_on=ends,
        status=_contract_status(rng, ends),
        payment_days=rng.choice((14, 30, 30, 45)),
    )


def _contract_status(rng: random.Random, ends: date) -> str:
    if ends <= AS_OF:
        return "expired"
    return "terminated" if rng.random() < TERMINATED_SHARE else "active"


def invoices(seed: int, contracts: tuple[Contract, ...]) -> tuple[Invoice, ...]:
    """Generate invoices by date, numbered from 1001."""
    rng = random_stream(seed, "invoices")
    agreements = by_id(contracts)
    drafts = []
    for place in range(INVOICE_COUNT):
        contract = contracts[place % len(contracts)]
        last = min(contract.ends_on, AS_OF - timedelta(days=2))
        first = contract.signed_on + timedelta(days=20)
        drafts.append((pick_working_day(rng, first, last), contract.id))
    return tuple(
        _make_invoice(rng, 1001 + at, issued, agreements[contract])
        for at, (issued, contract) in enumerate(sorted(drafts))
    )


def _make_invoice(rng: random.Random, number: int, issued: date, contract: Contract) -> Invoice:
    due = issued + timedelta(days=contract.payment_days)
    paid = _pick_payment_date(rng, issued, due)
    status = "paid" if paid else "overdue" if due < AS_OF else "open"
    amount = round(contract.value / 12 * rng.uniform(0.6, 1.4))
    return Invoice(
        f"INV-{number}", contract.id, contract.customer, amount, issued, due, paid, status
    )


def _pick_payment_date(rng: random.Random, issued: date, due: date) -> date | None:
    """Pick a day around the due date; None for the customers who had not paid at closing."""
    paid = issued + timedelta(days=max(3, (due - issued).days + rng.randint(-12, 16)))
    return None if paid > AS_OF or rng.random() < UNPAID_SHARE else paid
