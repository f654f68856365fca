"""Routes, shipments and inspections."""

import random
from datetime import date, timedelta

from sluice.demo.company import vocabulary
from sluice.demo.company.model import (
    Contract,
    Customer,
    FreightRoute,
    Inspection,
    Person,
    Shipment,
    Truck,
    by_id,
)
from sluice.demo.company.seeded_random import AS_OF, pick_working_day, random_stream

SHIPMENT_COUNT = 132
INSPECTION_COUNT = 44
LATE_SHARE = 0.12
DEFECT_SHARE = 0.45
SHIPPED_FROM = date(2025, 6, 1)


def routes() -> tuple[FreightRoute, ...]:
    return tuple(
        FreightRoute(f"R-{11 + at}", f"depot-{origin}", f"depot-{end}", distance, hours, via)
        for at, (origin, end, distance, hours, via) in enumerate(vocabulary.ROUTES)
    )


def shipments(
    seed: int,
    contracts: tuple[Contract, ...],
    customers: tuple[Customer, ...],
    fleet: tuple[Truck, ...],
) -> tuple[Shipment, ...]:
    """Generate shipments by departure, numbered from 5001, each within its contract's term."""
    rng = random_stream(seed, "shipments")
    days = [
        (_pick_departure(rng, contract), contract.id)
        for contract in _draw_contracts(rng, contracts)
    ]
    agreements, industries = by_id(contracts), {buyer.id: buyer.industry for buyer in customers}
    records = []
    for at, (day, contract_id) in enumerate(sorted(days)):
        contract = agreements[contract_id]
        truck = _pick_truck(rng, contract, fleet)
        goods = vocabulary.GOODS[industries[contract.customer]]
        records.append(_make_shipment(rng, (f"SHP-{5001 + at}", day, goods), contract, truck))
    return tuple(records)


def _draw_contracts(rng: random.Random, signed: tuple[Contract, ...]) -> list[Contract]:
    running = [contract for contract in signed if contract.ends_on > SHIPPED_FROM]
    return [rng.choice(running) for _ in range(SHIPMENT_COUNT)]


def _pick_departure(rng: random.Random, contract: Contract) -> date:
    first = max(SHIPPED_FROM, contract.signed_on + timedelta(days=7))
    return pick_working_day(rng, first, min(contract.ends_on, AS_OF - timedelta(days=1)))


def _pick_truck(rng: random.Random, contract: Contract, fleet: tuple[Truck, ...]) -> Truck:
    chilled = contract.service == "refrigerated transport"
    return rng.choice(
        [
            truck
            for truck in fleet
            if truck.depot == contract.depot
            and truck.driver
            and (truck.refrigerated or not chilled)
        ]
    )


def _make_shipment(
    rng: random.Random, change: tuple[str, date, str], contract: Contract, truck: Truck
) -> Shipment:
    number, day, goods = change
    starting = [route for route in routes() if route.origin == contract.depot]
    arrived = day + timedelta(days=rng.choice((0, 1, 1, 2)))
    delivered = arrived if arrived <= AS_OF - timedelta(days=1) else None
    late = rng.random() < LATE_SHARE
    if truck.driver is None:
        raise ValueError(f"{truck.id} has no driver, so it cannot carry a shipment")
    return Shipment(
        id=number,
        contract=contract.id,
        customer=contract.customer,
        route=rng.choice(starting).id,
        truck=truck.id,
        driver=truck.driver,
        goods=goods,
        weight_kg=rng.randint(12, 240) * 100,
        departed_on=day,
        delivered_on=delivered,
        status="in transit" if delivered is None else "delivered late" if late else "delivered",
    )


def inspections(
    seed: int, fleet: tuple[Truck, ...], staff: tuple[Person, ...]
) -> tuple[Inspection, ...]:
    """Generate one inspection per truck in the last year, by the mechanic of its depot."""
    rng = random_stream(seed, "inspections")
    mechanics = {person.depot: person.id for person in staff if person.kind == "mechanic"}
    records = []
    for at in range(INSPECTION_COUNT):
        truck = fleet[at % len(fleet)]
        failed = rng.random() < DEFECT_SHARE
        records.append(
            Inspection(
                f"INS-{701 + at}",
                truck.id,
                mechanics[truck.depot],
                pick_working_day(rng, date(2025, 11, 3), AS_OF - timedelta(days=3)),
                "defects found" if failed else "passed",
                rng.choice(vocabulary.FINDINGS) if failed else "no defects were found",
            )
        )
    return tuple(records)
