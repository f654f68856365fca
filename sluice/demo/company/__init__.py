"""Flensmark Freight, an invented company, as records with known relations."""

from router.knowledge.records import Record
from sluice.demo.company import handbook, incidents, operations, staff, trade
from sluice.demo.company.model import Company
from sluice.demo.company.records import records
from sluice.demo.company.seeded_random import AS_OF
from sluice.demo.company.vocabulary import COMPANY_NAME

__all__ = ["AS_OF", "COMPANY_NAME", "Company", "build_company", "generate_records"]


def build_company(seed: int = 7) -> Company:
    """Build the company's facts; the same seed gives the same company."""
    depots = staff.depots()
    people = staff.people(seed, depots)
    trucks = staff.trucks(seed, depots, people)
    customers = trade.customers(seed, people)
    contracts = trade.contracts(seed, customers, depots)
    shipments = operations.shipments(seed, contracts, customers, trucks)
    return Company(
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


def generate_records(seed: int = 7) -> list[Record]:
    """Return the knowledge base: about 700 linked records."""
    return records(build_company(seed))
