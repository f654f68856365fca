"""Conversion of facts to records with sentences, attributes and links."""

from collections.abc import Iterator

from router.knowledge.records import Link, Record
from sluice.demo.company import record_staff, record_trade, record_transport
from sluice.demo.company.model import Company
from sluice.demo.company.vocabulary import COMPANY_NAME


def records(company: Company) -> list[Record]:
    """Yield every fact as one record, the company first."""
    return [
        _company_record(company),
        *_staff_records(company),
        *_trade_records(company),
        *_transport_records(company),
    ]


def _staff_records(world: Company) -> Iterator[Record]:
    yield from (record_staff.depot_record(world, depot) for depot in world.depots)
    yield from (record_staff.person_record(world, person) for person in world.people)
    yield from (record_staff.truck_record(world, truck) for truck in world.trucks)
    yield from (record_staff.page_record(world, page) for page in world.pages)


def _trade_records(world: Company) -> Iterator[Record]:
    yield from (record_trade.customer_record(world, customer) for customer in world.customers)
    yield from (record_trade.contract_record(world, contract) for contract in world.contracts)
    yield from (record_trade.invoice_record(world, invoice) for invoice in world.invoices)


def _transport_records(world: Company) -> Iterator[Record]:
    yield from (record_transport.route_record(world, route) for route in world.routes)
    yield from (record_transport.shipment_record(world, shipment) for shipment in world.shipments)
    yield from (record_transport.incident_record(world, incident) for incident in world.incidents)
    yield from (
        record_transport.inspection_record(world, inspection) for inspection in world.inspections
    )


def _company_record(world: Company) -> Record:
    director = world.people[0]
    towns = ", ".join(depot.town for depot in world.depots)
    text = (
        f"{COMPANY_NAME} moves freight between Germany, Denmark and Poland. It was founded in "
        f"Flensburg in 1987, is led by {director.name} and runs {len(world.trucks)} trucks "
        f"from {len(world.depots)} depots: {towns}."
    )
    links = (
        Link("LED_BY", director.id),
        *(Link("HAS_DEPOT", depot.id) for depot in world.depots),
    )
    return Record("flensmark", "company", COMPANY_NAME, text, "company/about", {}, links)
