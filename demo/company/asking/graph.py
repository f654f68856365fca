"""Questions about who and what is connected."""

import random
from collections.abc import Iterator

from demo.company.asking.question import Question, ask
from demo.company.model import Incident, Shipment, Truck, World

EACH = 5  # questions of one kind


def questions(world: World, rng: random.Random) -> Iterator[Question]:
    yield from _drivers(world, rng)
    yield from _reporting(world, rng)
    yield from _depots(world, rng)
    yield from _trade(world, rng)
    yield from _loads(world, rng)
    yield from _incidents(world, rng)


def _drivers(world: World, rng: random.Random) -> Iterator[Question]:
    driven = [truck for truck in world.trucks if truck.driver]
    for truck in rng.sample(driven, EACH):
        boss = world.person[str(truck.driver)].manager
        text = rng.choice(
            (
                f"Who does the driver of truck {truck.id} report to?",
                f"who is the boss of the driver of {truck.id}",
                f"The driver of {truck.id} reports to whom?",
            )
        )
        yield ask(text, "graph", {str(boss), str(truck.driver)})
    for truck in rng.sample(driven, EACH):
        text = rng.choice(
            (
                f"Who drives truck {truck.id}?",
                f"who is the driver of {truck.id}",
                f"Which driver is assigned to truck {truck.id}?",
            )
        )
        yield ask(text, "graph", {str(truck.driver), truck.id})


def _reporting(world: World, rng: random.Random) -> Iterator[Question]:
    workers = [person for person in world.people if person.kind != "driver" and person.manager]
    for person in rng.sample(workers, EACH):
        text = rng.choice(
            (
                f"Who does {person.name} report to?",
                f"who is {person.name}'s manager",
                f"Who is the superior of {person.name}?",
            )
        )
        yield ask(text, "graph", {str(person.manager), person.id})
    leads = sorted({person.manager for person in world.people if person.manager})
    for lead in rng.sample(leads, EACH):
        name = world.person[lead].name
        team = {person.id for person in world.people if person.manager == lead}
        text = rng.choice(
            (
                f"Who reports to {name}?",
                f"Which people work under {name}?",
                f"show the team that reports to {name}",
            )
        )
        yield ask(text, "graph", team)


def _depots(world: World, rng: random.Random) -> Iterator[Question]:
    for depot in rng.sample(world.depots, 4):
        fleet = {truck.id for truck in world.trucks if truck.depot == depot.id}
        text = rng.choice(
            (
                f"Which trucks are connected to the {depot.name}?",
                f"Show the trucks that belong to the {depot.name}",
            )
        )
        yield ask(text, "graph", fleet)
    drivers = [person for person in world.people if person.kind == "driver"]
    for driver in rng.sample(drivers, EACH):
        manager = next(
            person.id
            for person in world.people
            if person.depot == driver.depot and person.role == "depot manager"
        )
        text = rng.choice(
            (
                f"Who manages the depot where {driver.name} works?",
                f"Who is the manager of {driver.name}'s depot?",
            )
        )
        yield ask(text, "graph", {manager, driver.depot})


def _trade(world: World, rng: random.Random) -> Iterator[Question]:
    for contract in rng.sample(world.contracts, EACH):
        text = rng.choice(
            (
                f"Which customer is linked to contract {contract.id}?",
                f"Which customer belongs to contract {contract.id}?",
            )
        )
        yield ask(text, "graph", {contract.customer, contract.id})
    for customer in rng.sample(world.customers, EACH):
        signed = {one.id for one in world.contracts if one.customer == customer.id}
        text = rng.choice(
            (
                f"Who negotiated the contract with {customer.name}?",
                f"Which account manager is connected to {customer.name}?",
            )
        )
        yield ask(text, "graph", signed | {customer.account_manager, customer.id})
    managers = [person for person in world.people if person.role == "account manager"]
    for person in managers:
        accounts = {one.id for one in world.customers if one.account_manager == person.id}
        text = rng.choice(
            (
                f"Which customers does {person.name} look after?",
                f"Which customers are linked to {person.name}?",
            )
        )
        yield ask(text, "graph", accounts)
    for contract in rng.sample(world.contracts, EACH):
        bills = {one.id for one in world.invoices if one.contract == contract.id}
        text = rng.choice(
            (
                f"Which invoices belong to contract {contract.id}?",
                f"Show the invoices connected to {contract.id}",
            )
        )
        yield ask(text, "graph", bills)


def _loads(world: World, rng: random.Random) -> Iterator[Question]:
    for shipment in rng.sample(world.shipments, EACH):
        text = rng.choice(
            (
                f"Show everything linked to shipment {shipment.id}",
                f"what is connected to shipment {shipment.id}?",
            )
        )
        yield ask(text, "graph", _around(shipment))
    for shipment in rng.sample(world.shipments, EACH):
        driver, customer = world.person[shipment.driver], world.customer[shipment.customer]
        both = {
            one.id
            for one in world.shipments
            if one.driver == driver.id and one.customer == customer.id
        }
        text = rng.choice(
            (
                f"How is {driver.name} connected to {customer.name}?",
                f"What links {customer.name} and {driver.name}?",
            )
        )
        yield ask(text, "graph", both)
    for truck in rng.sample([one for one in world.trucks if one.driver], EACH):
        yield from _carried(world, truck, rng)


def _around(shipment: Shipment) -> set[str]:
    return {
        shipment.id,
        shipment.truck,
        shipment.driver,
        shipment.customer,
        shipment.route,
        shipment.contract,
    }


def _carried(world: World, truck: Truck, rng: random.Random) -> Iterator[Question]:
    loads = {one.id for one in world.shipments if one.truck == truck.id}
    if loads:
        text = rng.choice(
            (
                f"Which shipments are linked to truck {truck.id}?",
                f"Which shipments were carried by {truck.id}?",
            )
        )
        yield ask(text, "graph", loads)


def _incidents(world: World, rng: random.Random) -> Iterator[Question]:
    for incident in rng.sample(world.incidents, EACH):
        text = rng.choice(
            (
                f"Who was involved in incident {incident.id}?",
                f"Which people are connected to incident {incident.id}?",
                f"people linked to {incident.id}",
            )
        )
        yield ask(text, "graph", {incident.id, *incident.people})
    for incident in rng.sample(world.incidents, EACH):
        yield _carrying(incident, rng)
    for inspection in rng.sample(world.inspections, EACH):
        text = f"Which mechanic is linked to the inspection of truck {inspection.truck}?"
        yield ask(text, "graph", {inspection.id, inspection.mechanic})


def _carrying(incident: Incident, rng: random.Random) -> Question:
    if rng.choice((True, False)):
        text = f"Which shipment is linked to incident {incident.id}?"
        return ask(text, "graph", {incident.shipment, incident.id})
    text = f"Which truck and shipment are connected to incident {incident.id}?"
    return ask(text, "graph", {incident.shipment, incident.truck, incident.id})
