"""Questions about connections."""

import random
from collections.abc import Iterator

from sluice.demo.company.model import Company, Incident, Shipment, Truck
from sluice.demo.company.questions.labeled_question import LabeledQuestion, make_question

QUESTIONS_PER_KIND = 5  # questions of one kind


def questions(company: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    yield from _drivers(company, rng)
    yield from _reporting(company, rng)
    yield from _depots(company, rng)
    yield from _trade(company, rng)
    yield from _loads(company, rng)
    yield from _incidents(company, rng)


def _drivers(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    driven = [truck for truck in world.trucks if truck.driver]
    for truck in rng.sample(driven, QUESTIONS_PER_KIND):
        boss = world.person[str(truck.driver)].manager
        text = rng.choice(
            (
                f"Who does the driver of truck {truck.id} report to?",
                f"who is the boss of the driver of {truck.id}",
                f"The driver of {truck.id} reports to whom?",
            )
        )
        yield make_question(text, "graph", {str(boss), str(truck.driver)})
    for truck in rng.sample(driven, QUESTIONS_PER_KIND):
        text = rng.choice(
            (
                f"Who drives truck {truck.id}?",
                f"who is the driver of {truck.id}",
                f"Which driver is assigned to truck {truck.id}?",
            )
        )
        yield make_question(text, "graph", {str(truck.driver), truck.id})


def _reporting(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    workers = [person for person in world.people if person.kind != "driver" and person.manager]
    for person in rng.sample(workers, QUESTIONS_PER_KIND):
        text = rng.choice(
            (
                f"Who does {person.name} report to?",
                f"who is {person.name}'s manager",
                f"Who is the superior of {person.name}?",
            )
        )
        yield make_question(text, "graph", {str(person.manager), person.id})
    leads = sorted({person.manager for person in world.people if person.manager})
    for lead in rng.sample(leads, QUESTIONS_PER_KIND):
        name = world.person[lead].name
        team = {person.id for person in world.people if person.manager == lead}
        text = rng.choice(
            (
                f"Who reports to {name}?",
                f"Which people work under {name}?",
                f"show the team that reports to {name}",
            )
        )
        yield make_question(text, "graph", team)


def _depots(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for depot in rng.sample(world.depots, 4):
        fleet = {truck.id for truck in world.trucks if truck.depot == depot.id}
        text = rng.choice(
            (
                f"Which trucks are connected to the {depot.name}?",
                f"Show the trucks that belong to the {depot.name}",
            )
        )
        yield make_question(text, "graph", fleet)
    drivers = [person for person in world.people if person.kind == "driver"]
    for driver in rng.sample(drivers, QUESTIONS_PER_KIND):
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
        yield make_question(text, "graph", {manager, driver.depot})


def _trade(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for contract in rng.sample(world.contracts, QUESTIONS_PER_KIND):
        text = rng.choice(
            (
                f"Which customer is linked to contract {contract.id}?",
                f"Which customer belongs to contract {contract.id}?",
            )
        )
        yield make_question(text, "graph", {contract.customer, contract.id})
    for customer in rng.sample(world.customers, QUESTIONS_PER_KIND):
        signed = {contract.id for contract in world.contracts if contract.customer == customer.id}
        text = rng.choice(
            (
                f"Who negotiated the contract with {customer.name}?",
                f"Which account manager is connected to {customer.name}?",
            )
        )
        yield make_question(text, "graph", signed | {customer.account_manager, customer.id})
    managers = [person for person in world.people if person.role == "account manager"]
    for person in managers:
        accounts = {
            account.id for account in world.customers if account.account_manager == person.id
        }
        text = rng.choice(
            (
                f"Which customers does {person.name} look after?",
                f"Which customers are linked to {person.name}?",
            )
        )
        yield make_question(text, "graph", accounts)
    for contract in rng.sample(world.contracts, QUESTIONS_PER_KIND):
        bills = {invoice.id for invoice in world.invoices if invoice.contract == contract.id}
        text = rng.choice(
            (
                f"Which invoices belong to contract {contract.id}?",
                f"Show the invoices connected to {contract.id}",
            )
        )
        yield make_question(text, "graph", bills)


def _loads(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for shipment in rng.sample(world.shipments, QUESTIONS_PER_KIND):
        text = rng.choice(
            (
                f"Show everything linked to shipment {shipment.id}",
                f"what is connected to shipment {shipment.id}?",
            )
        )
        yield make_question(text, "graph", _related_ids(shipment))
    for shipment in rng.sample(world.shipments, QUESTIONS_PER_KIND):
        driver, customer = world.person[shipment.driver], world.customer[shipment.customer]
        answer_ids = {
            shipment.id
            for shipment in world.shipments
            if shipment.driver == driver.id and shipment.customer == customer.id
        }
        text = rng.choice(
            (
                f"How is {driver.name} connected to {customer.name}?",
                f"What links {customer.name} and {driver.name}?",
            )
        )
        yield make_question(text, "graph", answer_ids)
    for truck in rng.sample(
        [driven for driven in world.trucks if driven.driver], QUESTIONS_PER_KIND
    ):
        yield from _truck_shipments(world, truck, rng)


def _related_ids(shipment: Shipment) -> set[str]:
    return {
        shipment.id,
        shipment.truck,
        shipment.driver,
        shipment.customer,
        shipment.route,
        shipment.contract,
    }


def _truck_shipments(world: Company, truck: Truck, rng: random.Random) -> Iterator[LabeledQuestion]:
    loads = {shipment.id for shipment in world.shipments if shipment.truck == truck.id}
    if loads:
        text = rng.choice(
            (
                f"Which shipments are linked to truck {truck.id}?",
                f"Which shipments were carried by {truck.id}?",
            )
        )
        yield make_question(text, "graph", loads)


def _incidents(world: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for incident in rng.sample(world.incidents, QUESTIONS_PER_KIND):
        text = rng.choice(
            (
                f"Who was involved in incident {incident.id}?",
                f"Which people are connected to incident {incident.id}?",
                f"people linked to {incident.id}",
            )
        )
        yield make_question(text, "graph", {incident.id, *incident.people})
    for incident in rng.sample(world.incidents, QUESTIONS_PER_KIND):
        yield _incident_shipment(incident, rng)
    for inspection in rng.sample(world.inspections, QUESTIONS_PER_KIND):
        text = f"Which mechanic is linked to the inspection of truck {inspection.truck}?"
        yield make_question(text, "graph", {inspection.id, inspection.mechanic})


def _incident_shipment(incident: Incident, rng: random.Random) -> LabeledQuestion:
    if rng.choice((True, False)):
        text = f"Which shipment is linked to incident {incident.id}?"
        return make_question(text, "graph", {incident.shipment, incident.id})
    text = f"Which truck and shipment are connected to incident {incident.id}?"
    return make_question(text, "graph", {incident.shipment, incident.truck, incident.id})
