"""Questions about when, and about stretches of time. Dates are absolute, so answers stay known."""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from demo.company.asking.question import Question, ask
from demo.company.model import Depot, World
from demo.company.wording import spoken

EACH = 6


def questions(world: World, rng: random.Random) -> Iterator[Question]:
    yield from _months_at_depots(world, rng)
    yield from _weeks_before(world)
    yield from _last_times(world, rng)
    yield from _firsts_and_lasts(world, rng)
    yield from _histories(world, rng)
    yield from _payments(world, rng)
    yield from _revisions(world)


Days = Callable[[date], bool]


def _in_month(day: date) -> Days:
    return lambda other: (other.year, other.month) == (day.year, day.month)


def _from_until(start: date, end: date) -> Days:
    return lambda day: start <= day < end


def _events(world: World, depot: str, happened: Days) -> set[str]:
    """Incidents and inspections at a depot on days for which ``happened`` is true."""
    incidents = {i.id for i in world.incidents if i.depot == depot and happened(i.happened_on)}
    return incidents | {
        i.id
        for i in world.inspections
        if world.truck[i.truck].depot == depot and happened(i.done_on)
    }


def _months_at_depots(world: World, rng: random.Random) -> Iterator[Question]:
    for incident in rng.sample(world.incidents, EACH * 2):
        day, depot = incident.happened_on, world.depot[incident.depot]
        found = _events(world, depot.id, _in_month(day))
        text = rng.choice(
            (
                f"What happened at the {depot.name} in {day:%B %Y}?",
                f"what went on at the {depot.name} during {day:%B %Y}",
                f"Timeline of events at the {depot.name} in {day:%B %Y}",
                f"Show the history of the {depot.name} for {day:%B %Y}",
            )
        )
        yield ask(text, "temporal", found)


def _weeks_before(world: World) -> Iterator[Question]:
    """The hard ones: the stretch of time hangs on another event."""
    for incident in (one for one in world.incidents if one.category == "cold-chain"):
        end, depot = incident.happened_on, world.depot[incident.depot]
        start = end - timedelta(days=7)
        found = _events(world, depot.id, _from_until(start, end))
        if found:
            yield ask(
                f"What happened at the {depot.name} in the week before the cold-chain incident "
                f"of {spoken(end)}?",
                "temporal",
                found,
            )
            yield ask(
                f"What happened at the {depot.name} between {spoken(start)} and {spoken(end)}?",
                "temporal",
                {*found, incident.id},
            )


def _last_times(world: World, rng: random.Random) -> Iterator[Question]:
    for inspection in rng.sample(world.inspections, EACH):
        text = rng.choice(
            (
                f"When was truck {inspection.truck} last inspected?",
                f"when did truck {inspection.truck} have its latest inspection",
            )
        )
        yield ask(text, "temporal", {inspection.id})
    for depot in rng.sample(world.depots, EACH):
        here = [one for one in world.incidents if one.depot == depot.id]
        if here:
            yield _latest_incident(depot, here[-1].id, rng)


def _latest_incident(depot: Depot, incident: str, rng: random.Random) -> Question:
    text = rng.choice(
        (
            f"When did the most recent incident at the {depot.name} happen?",
            f"When was the last incident at the {depot.name}?",
        )
    )
    return ask(text, "temporal", {incident})


def _firsts_and_lasts(world: World, rng: random.Random) -> Iterator[Question]:
    for customer in rng.sample(world.customers, EACH):
        signed = [one for one in world.contracts if one.customer == customer.id]
        latest = max(signed, key=lambda one: one.signed_on)
        yield ask(f"When did {customer.name} sign its latest contract?", "temporal", {latest.id})
    shipped = sorted({one.customer for one in world.shipments})
    for customer_id in rng.sample(shipped, EACH):
        loads = [one for one in world.shipments if one.customer == customer_id]
        name = world.customer[customer_id].name
        first, last = loads[0].departed_on, loads[-1].departed_on
        if rng.choice((True, False)):
            found = {one.id for one in loads if one.departed_on == last}
            yield ask(f"When did the last shipment for {name} leave?", "temporal", found)
        else:
            found = {one.id for one in loads if one.departed_on == first}
            yield ask(f"When was the first shipment for {name}?", "temporal", found)


def _histories(world: World, rng: random.Random) -> Iterator[Question]:
    for incident in rng.sample(world.incidents, EACH):
        truck = incident.truck
        found = {one.id for one in world.incidents if one.truck == truck}
        found |= {one.id for one in world.inspections if one.truck == truck}
        found |= {one.id for one in world.shipments if one.truck == truck}
        text = rng.choice((f"Show the history of truck {truck}", f"timeline for truck {truck}"))
        yield ask(text, "temporal", found)
    for shipment in rng.sample(world.shipments, EACH):
        day, driver = shipment.departed_on, world.person[shipment.driver]
        found = {
            one.id
            for one in world.shipments
            if one.driver == driver.id and _in_month(day)(one.departed_on)
        }
        yield ask(f"What did {driver.name} deliver in {day:%B %Y}?", "temporal", found)


def _payments(world: World, rng: random.Random) -> Iterator[Question]:
    paid = [one for one in world.invoices if one.paid_on]
    for invoice in rng.sample(paid, EACH):
        text = rng.choice(
            (f"When was invoice {invoice.id} paid?", f"when did we get the money for {invoice.id}")
        )
        yield ask(text, "temporal", {invoice.id})


def _revisions(world: World) -> Iterator[Question]:
    for since in (date(2026, 6, 1), date(2026, 9, 1)):
        found = {page.id for page in world.pages if page.revised_on >= since}
        yield ask(f"Which handbook pages changed since {since:%B %Y}?", "temporal", found)
