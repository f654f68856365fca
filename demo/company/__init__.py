"""Flensmark Freight, a company that does not exist, as records with known relations."""

from demo.company import handbook, incidents, operations, staff, trade
from demo.company.chance import AS_OF
from demo.company.model import World
from demo.company.records import records
from demo.company.vocabulary import COMPANY
from router.records import Record

__all__ = ["AS_OF", "COMPANY", "World", "build", "generate"]


def build(seed: int = 7) -> World:
    """The company's facts; the same seed gives the same company."""
    depots = staff.depots()
    people = staff.people(seed, depots)
    trucks = staff.trucks(seed, depots, people)
    customers = trade.customers(seed, people)
    contracts = trade.contracts(seed, customers, depots)
    shipments = operations.shipments(seed, contracts, customers, trucks)
    return World(
        as_of=AS_OF,
        depots=depots,
        people=people,
        trucks=trucks,
        customers=customers,
        contracts=contracts,
        invoices=trade.invoices(seed, contracts),
        routes=operations.routes(),
        shipments=shipments,
        incidents=incidents.incidents(seed, shipments, trucks, people),
        inspections=operations.inspections(seed, trucks, people),
        pages=handbook.pages(people),
    )


def generate(seed: int = 7) -> list[Record]:
    """The knowledge base: about 700 linked records."""
    return records(build(seed))
