"""Facts to records: natural sentences, attributes to filter on, links to follow."""

from collections.abc import Iterator

from demo.company import record_staff, record_trade, record_transport
from demo.company.model import World
from demo.company.vocabulary import COMPANY
from router.records import Link, Record


def records(world: World) -> list[Record]:
    """Every fact as one record, the company itself first."""
    return [_company(world), *_of_people(world), *_of_trade(world), *_of_transport(world)]


def _of_people(world: World) -> Iterator[Record]:
    yield from (record_staff.depot(world, one) for one in world.depots)
    yield from (record_staff.person(world, one) for one in world.people)
    yield from (record_staff.truck(world, one) for one in world.trucks)
    yield from (record_staff.page(world, one) for one in world.pages)


def _of_trade(world: World) -> Iterator[Record]:
    yield from (record_trade.customer(world, one) for one in world.customers)
    yield from (record_trade.contract(world, one) for one in world.contracts)
    yield from (record_trade.invoice(world, one) for one in world.invoices)


def _of_transport(world: World) -> Iterator[Record]:
    yield from (record_transport.route(world, one) for one in world.routes)
    yield from (record_transport.shipment(world, one) for one in world.shipments)
    yield from (record_transport.incident(world, one) for one in world.incidents)
    yield from (record_transport.inspection(world, one) for one in world.inspections)


def _company(world: World) -> Record:
    director = world.people[0]
    towns = ", ".join(depot.town for depot in world.depots)
    text = (
        f"{COMPANY} moves freight between Germany, Denmark and Poland. It was founded in "
        f"Flensburg in 1987, is led by {director.name} and runs {len(world.trucks)} trucks "
        f"from {len(world.depots)} depots: {towns}."
    )
    links = (
        Link("LED_BY", director.id),
        *(Link("HAS_DEPOT", depot.id) for depot in world.depots),
    )
    return Record("flensmark", "company", COMPANY, text, "company/about", {}, links)
