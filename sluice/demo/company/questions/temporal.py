"""Questions about dates and periods. Dates are absolute, so that answers stay known."""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from sluice.demo.company.date_words import long_date
from sluice.demo.company.model import Company, Depot
from sluice.demo.company.questions.labeled_question import LabeledQuestion, make_question

QUESTIONS_PER_KIND = 6


def questions(company: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    yield from _depot_months(company, rng)
    yield from _weeks_before_incidents(company)
    yield from _latest_events(company, rng)
    yield from _first_and_latest(company, rng)
    yield from _truck_and_driver_histories(company, rng)
    yield from _payments(company, rng)
    yield from _page_revisions(company)


DateFilter = Callable[[date], bool]


def _in_month(day: date) -> DateFilter:
    return lambda candidate: (candidate.year, candidate.month) == (day.year, day.month)


def _in_period(start: date, end: date) -> DateFilter:
    return lambda day: start <= day < end


def _depot_events(world: Company, depot: str, happened: DateFilter) -> set[str]:
    """Return incidents and inspections at a depot on days that ``happened`` accepts."""
    incidents = {i.id for i in world.incidents if i.depot == depot and happened(i.happened_on)}
    return incidents | {
        i.id
        for i in world.inspections
        if world.truck[i.truck].depot == depot and happened(i.done_on)
    }


def _depot_months(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for incident in rng.sample(world.incidents, QUESTIONS_PER_KIND * 2):
        day, depot = incident.happened_on, world.depot[incident.depot]
        events = _depot_events(world, depot.id, _in_month(day))
        text = rng.choice(
            (
                f"What happened at the {depot.name} in {day:%B %Y}?",
                f"what went on at the {depot.name} during {day:%B %Y}",
                f"Timeline of events at the {depot.name} in {day:%B %Y}",
                f"Show the history of the {depot.name} for {day:%B %Y}",
            )
        )
        yield make_question(text, "temporal", events)


def _weeks_before_incidents(world: Company) -> Iterator[LabeledQuestion]:
    """Generate questions whose period depends on another event."""
    for incident in (
        candidate for candidate in world.incidents if candidate.category == "cold-chain"
    ):
        end, depot = incident.happened_on, world.depot[incident.depot]
        start = end - timedelta(days=7)
        events = _depot_events(world, depot.id, _in_period(start, end))
        if events:
            yield make_question(
                f"What happened at the {depot.name} in the week before the cold-chain incident "
                f"of {long_date(end)}?",
                "temporal",
                events,
            )
            yield make_question(
                f"What happened at the {depot.name} between {long_date(start)} and {long_date(end)}?",
                "temporal",
                {*events, incident.id},
            )


def _latest_events(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for inspection in rng.sample(world.inspections, QUESTIONS_PER_KIND):
        text = rng.choice(
            (
                f"When was truck {inspection.truck} last inspected?",
                f"when did truck {inspection.truck} have its latest inspection",
            )
        )
        yield make_question(text, "temporal", {inspection.id})
    for depot in rng.sample(world.depots, QUESTIONS_PER_KIND):
        local = [incident for incident in world.incidents if incident.depot == depot.id]
        if local:
            yield _latest_incident(depot, local[-1].id, rng)


def _latest_incident(depot: Depot, incident: str, rng: random.Random) -> LabeledQuestion:
    text = rng.choice(
        (
            f"When did the most recent incident at the {depot.name} happen?",
            f"When was the last incident at the {depot.name}?",
        )
    )
    return make_question(text, "temporal", {incident})


def _first_and_latest(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for customer in rng.sample(world.customers, QUESTIONS_PER_KIND):
        signed = [contract for contract in world.contracts if contract.customer == customer.id]
        latest = max(signed, key=lambda contract: contract.signed_on)
        yield make_question(
            f"When did {customer.name} sign its latest contract?", "temporal", {latest.id}
        )
    shipped = sorted({shipment.customer for shipment in world.shipments})
    for customer_id in rng.sample(shipped, QUESTIONS_PER_KIND):
        loads = [shipment for shipment in world.shipments if shipment.customer == customer_id]
        name = world.customer[customer_id].name
        first, last = loads[0].departed_on, loads[-1].departed_on
        if rng.choice((True, False)):
            last_loads = {load.id for load in loads if load.departed_on == last}
            yield make_question(
                f"When did the last shipment for {name} leave?", "temporal", last_loads
            )
        else:
            last_loads = {load.id for load in loads if load.departed_on == first}
            yield make_question(f"When was the first shipment for {name}?", "temporal", last_loads)


def _truck_and_driver_histories(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for incident in rng.sample(world.incidents, QUESTIONS_PER_KIND):
        truck = incident.truck
        records = {incident.id for incident in world.incidents if incident.truck == truck}
        records |= {inspection.id for inspection in world.inspections if inspection.truck == truck}
        records |= {shipment.id for shipment in world.shipments if shipment.truck == truck}
        text = rng.choice((f"Show the history of truck {truck}", f"timeline for truck {truck}"))
        yield make_question(text, "temporal", records)
    for shipment in rng.sample(world.shipments, QUESTIONS_PER_KIND):
        day, driver = shipment.departed_on, world.person[shipment.driver]
        records = {
            shipment.id
            for shipment in world.shipments
            if shipment.driver == driver.id and _in_month(day)(shipment.departed_on)
        }
        yield make_question(f"What did {driver.name} deliver in {day:%B %Y}?", "temporal", records)


def _payments(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    paid = [invoice for invoice in world.invoices if invoice.paid_on]
    for invoice in rng.sample(paid, QUESTIONS_PER_KIND):
        text = rng.choice(
            (f"When was invoice {invoice.id} paid?", f"when did we get the money for {invoice.id}")
        )
        yield make_question(text, "temporal", {invoice.id})


def _page_revisions(world: Company) -> Iterator[LabeledQuestion]:
    for since in (date(2026, 6, 1), date(2026, 9, 1)):
        revised = {page.id for page in world.pages if page.revised_on >= since}
        yield make_question(
            f"Which handbook pages changed since {since:%B %Y}?", "temporal", revised
        )
