"""Questions that filter, count and rank by attributes."""

import random
from collections.abc import Iterable, Iterator

from sluice.demo.company.model import Company, Fact
from sluice.demo.company.questions.labeled_question import LabeledQuestion, make_question


def questions(company: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for text, answers in (
        *_invoices(company),
        *_invoices_of_customers(company, rng),
        *_contracts(company),
        *_trucks(company, rng),
        *_people_and_customers(company, rng),
        *_incidents(company, rng),
        *_transport(company, rng),
    ):
        if answers:
            yield make_question(text, "metadata", answers)


QuestionAnswers = Iterator[tuple[str, set[str]]]


def _ids_above(facts: Iterable[Fact], measure: str, limit: int) -> set[str]:
    """Return the ids of the facts whose ``measure`` is larger."""
    return {fact.id for fact in facts if getattr(fact, measure) > limit}


def _invoices(world: Company) -> QuestionAnswers:
    overdue = [invoice for invoice in world.invoices if invoice.status == "overdue"]
    unpaid = [invoice for invoice in world.invoices if invoice.status == "open"]
    yield (
        "Which invoices over 10,000 euro are overdue?",
        _ids_above(overdue, "amount", 10_000),
    )
    yield "overdue invoices above 25000", _ids_above(overdue, "amount", 25_000)
    yield (
        "Show all overdue invoices below 5,000 euro",
        {invoice.id for invoice in overdue} - _ids_above(overdue, "amount", 4_999),
    )
    yield "How many invoices are overdue?", {invoice.id for invoice in overdue}
    yield "list all open invoices", {invoice.id for invoice in unpaid}
    yield (
        "invoices where status = 'open' and amount > 15000",
        _ids_above(unpaid, "amount", 15_000),
    )
    yield "Which overdue invoice has the highest amount?", {max(overdue, key=lambda i: i.amount).id}
    yield (
        "largest paid invoice",
        {
            max(
                (invoice for invoice in world.invoices if invoice.status == "paid"),
                key=lambda i: i.amount,
            ).id
        },
    )


def _invoices_of_customers(world: Company, rng: random.Random) -> QuestionAnswers:
    for invoice in rng.sample(
        [candidate for candidate in world.invoices if candidate.status == "overdue"], 6
    ):
        name = world.customer[invoice.customer].name
        same_amount = {
            candidate.id
            for candidate in world.invoices
            if candidate.customer == invoice.customer and candidate.status == "overdue"
        }
        text = rng.choice(
            (f"List the overdue invoices of {name}", f"Which invoices of {name} are overdue?")
        )
        yield text, same_amount


def _contracts(world: Company) -> QuestionAnswers:
    active = [contract for contract in world.contracts if contract.status == "active"]
    expired = [contract for contract in world.contracts if contract.status == "expired"]
    yield (
        "Which active contracts are worth more than 200,000 euro?",
        _ids_above(active, "value", 200_000),
    )
    yield "active contracts with value > 300000", _ids_above(active, "value", 300_000)
    yield (
        "Show all terminated contracts",
        {contract.id for contract in world.contracts if contract.status == "terminated"},
    )
    yield "list expired contracts", {contract.id for contract in expired}
    yield "How many contracts are active?", {contract.id for contract in active}
    yield (
        "contracts where service = 'groupage' and status = 'active'",
        {contract.id for contract in active if contract.service == "groupage"},
    )
    yield (
        "Which active contracts cover refrigerated transport?",
        {contract.id for contract in active if contract.service == "refrigerated transport"},
    )
    yield (
        "active contract with the highest value",
        {max(active, key=lambda contract: contract.value).id},
    )


def _trucks(world: Company, rng: random.Random) -> QuestionAnswers:
    for depot in rng.sample(world.depots, 3):
        stationed = [truck for truck in world.trucks if truck.depot == depot.id]
        yield (
            f"trucks where depot = '{depot.town}' and refrigerated = true",
            {truck.id for truck in stationed if truck.refrigerated},
        )
    yield (
        "Which trucks are in the workshop?",
        {truck.id for truck in world.trucks if truck.status == "in workshop"},
    )
    yield (
        "Show all Scania trucks with more than 600,000 km",
        _ids_above(
            (scania for scania in world.trucks if scania.make == "Scania"), "mileage_km", 600_000
        ),
    )
    yield (
        "trucks with mileage over 800000 km",
        _ids_above(world.trucks, "mileage_km", 800_000),
    )
    yield "list all Volvo trucks", {truck.id for truck in world.trucks if truck.make == "Volvo"}
    yield (
        "trucks with status = 'reserve'",
        {truck.id for truck in world.trucks if truck.status == "reserve"},
    )
    yield (
        "Which truck has the highest mileage?",
        {max(world.trucks, key=lambda truck: truck.mileage_km).id},
    )


def _people_and_customers(world: Company, rng: random.Random) -> QuestionAnswers:
    for depot in rng.sample(world.depots, 3):
        yield (
            f"drivers where depot = '{depot.town}' and hazardous_goods = true",
            {
                person.id
                for person in world.people
                if person.kind == "driver" and person.depot == depot.id and person.hazardous_goods
            },
        )
    for tier, country in (("gold", "Germany"), ("silver", "Denmark"), ("bronze", "Poland")):
        yield (
            f"List all {tier} customers in {country}",
            {
                customer.id
                for customer in world.customers
                if (customer.tier, customer.country) == (tier, country)
            },
        )
    yield (
        "customers with tier = 'gold'",
        {customer.id for customer in world.customers if customer.tier == "gold"},
    )
    yield (
        "Which depots have more than 25 docks?",
        _ids_above(world.depots, "docks", 25),
    )


def _incidents(world: Company, rng: random.Random) -> QuestionAnswers:
    for depot in rng.sample(world.depots, 4):
        yield (
            f"List high severity incidents at {depot.town}",
            {
                incident.id
                for incident in world.incidents
                if incident.depot == depot.id and incident.severity == "high"
            },
        )
    waiting = [incident for incident in world.incidents if incident.status == "under investigation"]
    yield "Which incidents are still under investigation?", {incident.id for incident in waiting}
    yield (
        "incidents with cost over 10000 euro",
        _ids_above(world.incidents, "cost", 10_000),
    )
    yield (
        "incidents where category = 'theft'",
        {incident.id for incident in world.incidents if incident.category == "theft"},
    )
    yield (
        "show closed cold-chain incidents",
        {
            incident.id
            for incident in world.incidents
            if incident.category == "cold-chain" and incident.status == "closed"
        },
    )
    yield "Which incident had the highest cost?", {max(world.incidents, key=lambda i: i.cost).id}


def _transport(world: Company, rng: random.Random) -> QuestionAnswers:
    heavy = _ids_above(world.shipments, "weight_kg", 15_000)
    for depot in rng.sample(world.depots, 3):
        starting = {
            shipment.id
            for shipment in world.shipments
            if world.route[shipment.route].origin == depot.id
        }
        yield f"shipments with origin = '{depot.town}' and weight_kg > 15000", heavy & starting
    for depot in rng.sample(world.depots, 3):
        yield (
            f"Which inspections at {depot.town} have the result defects found?",
            {
                inspection.id
                for inspection in world.inspections
                if world.truck[inspection.truck].depot == depot.id
                and inspection.result == "defects found"
            },
        )
    yield (
        "Show all shipments that were delivered late",
        {shipment.id for shipment in world.shipments if shipment.status == "delivered late"},
    )
    yield (
        "list the shipments in transit",
        {shipment.id for shipment in world.shipments if shipment.status == "in transit"},
    )
    yield (
        "Which routes have a distance over 350 km?",
        _ids_above(world.routes, "distance_km", 350),
    )
