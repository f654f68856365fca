"""Facts to records: natural sentences, attributes to filter on, links to follow."""

from collections.abc import Iterator
from datetime import date

from demo.company.model import (
    Contract,
    Customer,
    Depot,
    Incident,
    Inspection,
    Invoice,
    Page,
    Person,
    Route,
    Shipment,
    Truck,
    World,
)
from router.records import Attribute, Link, Record

COMPANY = "Flensmark Freight"


def spoken(day: date) -> str:
    """``12 March 2026``."""
    return f"{day.day} {day:%B} {day.year}"


def records(world: World) -> list[Record]:
    """Every fact as one record, the company itself first."""
    return [_company(world), *_of_people(world), *_of_trade(world), *_of_transport(world)]


def _of_people(world: World) -> Iterator[Record]:
    yield from (_depot(world, one) for one in world.depots)
    yield from (_person(world, one) for one in world.people)
    yield from (_truck(world, one) for one in world.trucks)
    yield from (_page(world, one) for one in world.pages)


def _of_trade(world: World) -> Iterator[Record]:
    yield from (_customer(world, one) for one in world.customers)
    yield from (_contract(world, one) for one in world.contracts)
    yield from (_invoice(world, one) for one in world.invoices)


def _of_transport(world: World) -> Iterator[Record]:
    yield from (_route(world, one) for one in world.routes)
    yield from (_shipment(world, one) for one in world.shipments)
    yield from (_incident(world, one) for one in world.incidents)
    yield from (_inspection(world, one) for one in world.inspections)


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


def _depot(world: World, depot: Depot) -> Record:
    manager = next(p for p in world.people if p.depot == depot.id and p.role == "depot manager")
    cold = "It has a cold store." if depot.cold_store else "It has no cold store."
    text = (
        f"The {depot.name} in {depot.country}, {depot.address}, opened on "
        f"{spoken(depot.opened_on)} and has {depot.docks} docks. {cold} "
        f"{manager.name} manages the depot."
    )
    attributes: dict[str, Attribute] = {
        "town": depot.town,
        "country": depot.country,
        "docks": depot.docks,
        "cold_store": depot.cold_store,
        "opened_on": depot.opened_on.isoformat(),
    }
    links = (Link("MANAGED_BY", manager.id), Link("BELONGS_TO", "flensmark"))
    return Record(depot.id, "depot", depot.name, text, f"depots/{depot.town}", attributes, links)


def _person(world: World, person: Person) -> Record:
    depot = world.depot[person.depot]
    sentences = [
        f"{person.name} is {person.role} at the {depot.name} and joined {COMPANY} on "
        f"{spoken(person.hired_on)}."
    ]
    links = [Link("WORKS_AT", depot.id)]
    if person.manager:
        boss = world.person[person.manager]
        sentences.append(f"{person.name} reports to {boss.name}, {boss.role}.")
        links.append(Link("REPORTS_TO", boss.id))
    for truck in (one for one in world.trucks if one.driver == person.id):
        sentences.append(f"{person.name} drives truck {truck.id}, a {truck.make} {truck.model}.")
        links.append(Link("DRIVES", truck.id))
    if person.hazardous_goods:
        sentences.append("The ADR certificate for hazardous goods is held and valid.")
    attributes: dict[str, Attribute] = {
        "role": person.role,
        "depot": depot.town,
        "hired_on": person.hired_on.isoformat(),
        "hazardous_goods": person.hazardous_goods,
    }
    text, source = " ".join(sentences), f"people/{person.id}"
    return Record(person.id, person.kind, person.name, text, source, attributes, tuple(links))


def _truck(world: World, truck: Truck) -> Record:
    depot = world.depot[truck.depot]
    body = "a refrigerated trailer" if truck.refrigerated else "a curtain-sided trailer"
    driver = world.person[truck.driver].name if truck.driver else None
    who = f"{driver} drives it." if driver else "It is kept as a spare and has no fixed driver."
    text = (
        f"Truck {truck.id} is a {truck.make} {truck.model} built in {truck.year} with {body}, "
        f"stationed at the {depot.name}. {who} It has run {truck.mileage_km:,} km and is "
        f"{truck.status}."
    )
    attributes: dict[str, Attribute] = {
        "make": truck.make,
        "model": truck.model,
        "year": truck.year,
        "depot": depot.town,
        "refrigerated": truck.refrigerated,
        "mileage_km": truck.mileage_km,
        "status": truck.status,
    }
    links = (Link("STATIONED_AT", depot.id),)
    return Record(
        truck.id, "truck", f"Truck {truck.id}", text, f"trucks/{truck.id}", attributes, links
    )


def _page(world: World, page: Page) -> Record:
    owner = world.person[page.owner]
    attributes: dict[str, Attribute] = {
        "chapter": page.chapter,
        "owner": owner.name,
        "occurred_on": page.revised_on.isoformat(),
    }
    source = f"handbook/{page.chapter}/{page.id}"
    links = (Link("OWNED_BY", owner.id),)
    return Record(page.id, "page", page.title, page.text, source, attributes, links)


def _customer(world: World, customer: Customer) -> Record:
    manager = world.person[customer.account_manager]
    text = (
        f"{customer.name} of {customer.town}, {customer.country}, is a {customer.tier} customer "
        f"in the {customer.industry} business. {manager.name} looks after the account."
    )
    attributes: dict[str, Attribute] = {
        "town": customer.town,
        "country": customer.country,
        "industry": customer.industry,
        "tier": customer.tier,
    }
    links = (Link("LOOKED_AFTER_BY", manager.id),)
    source = f"customers/{customer.id}"
    return Record(customer.id, "customer", customer.name, text, source, attributes, links)


def _contract(world: World, contract: Contract) -> Record:
    customer, depot = world.customer[contract.customer], world.depot[contract.depot]
    manager = world.person[contract.manager]
    text = (
        f"Contract {contract.id} with {customer.name} covers {contract.service} from the "
        f"{depot.name}. It was signed on {spoken(contract.signed_on)}, runs until "
        f"{spoken(contract.ends_on)}, is worth {contract.value:,} euro a year and is "
        f"{contract.status}. Invoices are payable within {contract.payment_days} days. "
        f"{manager.name} negotiated it."
    )
    attributes: dict[str, Attribute] = {
        "customer": customer.name,
        "service": contract.service,
        "depot": depot.town,
        "value": contract.value,
        "status": contract.status,
        "payment_days": contract.payment_days,
        "ends_on": contract.ends_on.isoformat(),
        "occurred_on": contract.signed_on.isoformat(),
    }
    links = (
        Link("SIGNED_WITH", customer.id),
        Link("NEGOTIATED_BY", manager.id),
        Link("SERVED_FROM", depot.id),
    )
    title, source = f"Contract {contract.id} with {customer.name}", f"contracts/{contract.id}"
    return Record(contract.id, "contract", title, text, source, attributes, links)


def _invoice(world: World, invoice: Invoice) -> Record:
    customer = world.customer[invoice.customer]
    paid = f"It was paid on {spoken(invoice.paid_on)}." if invoice.paid_on else ""
    state = paid or f"It has not been paid and is {invoice.status}."
    text = (
        f"Invoice {invoice.id} to {customer.name} under contract {invoice.contract} is for "
        f"{invoice.amount:,} euro. It was issued on {spoken(invoice.issued_on)} and due on "
        f"{spoken(invoice.due_on)}. {state}"
    )
    attributes: dict[str, Attribute] = {
        "customer": customer.name,
        "amount": invoice.amount,
        "status": invoice.status,
        "due_on": invoice.due_on.isoformat(),
        "occurred_on": invoice.issued_on.isoformat(),
    }
    links = (Link("BILLS", invoice.contract), Link("BILLED_TO", customer.id))
    title, source = f"Invoice {invoice.id} to {customer.name}", f"invoices/{invoice.id}"
    return Record(invoice.id, "invoice", title, text, source, attributes, links)


def _route(world: World, route: Route) -> Record:
    start, end = world.depot[route.origin], world.depot[route.destination]
    text = (
        f"Route {route.id} runs from {start.town} to {end.town} by way of {route.via}: "
        f"{route.distance_km} km, planned at {route.hours} hours of driving."
    )
    attributes: dict[str, Attribute] = {
        "origin": start.town,
        "destination": end.town,
        "distance_km": route.distance_km,
        "hours": route.hours,
    }
    links = (Link("STARTS_AT", start.id), Link("ENDS_AT", end.id))
    title = f"Route {route.id} {start.town} to {end.town}"
    return Record(route.id, "route", title, text, f"routes/{route.id}", attributes, links)


def _shipment(world: World, shipment: Shipment) -> Record:
    customer, route = world.customer[shipment.customer], world.route[shipment.route]
    start, end = world.depot[route.origin], world.depot[route.destination]
    driver = world.person[shipment.driver]
    ending = (
        f"It was {shipment.status} on {spoken(shipment.delivered_on)}."
        if shipment.delivered_on
        else "It is still in transit."
    )
    text = (
        f"Shipment {shipment.id} took {shipment.weight_kg:,} kg of {shipment.goods} for "
        f"{customer.name} from {start.town} to {end.town} on route {route.id}. {driver.name} left "
        f"with truck {shipment.truck} on {spoken(shipment.departed_on)}. {ending}"
    )
    attributes: dict[str, Attribute] = {
        "customer": customer.name,
        "goods": shipment.goods,
        "origin": start.town,
        "destination": end.town,
        "weight_kg": shipment.weight_kg,
        "status": shipment.status,
        "occurred_on": shipment.departed_on.isoformat(),
    }
    links = (
        Link("CARRIED_BY", shipment.truck),
        Link("DRIVEN_BY", driver.id),
        Link("SHIPPED_FOR", customer.id),
        Link("RUNS_ON", route.id),
        Link("SHIPPED_UNDER", shipment.contract),
    )
    title, source = f"Shipment {shipment.id} for {customer.name}", f"shipments/{shipment.id}"
    return Record(shipment.id, "shipment", title, text, source, attributes, links)


def _incident(world: World, incident: Incident) -> Record:
    depot, driver = world.depot[incident.depot], world.person[incident.people[0]]
    told = incident.narrative.format(
        driver=driver.name,
        truck=incident.truck,
        goods=world.shipment[incident.shipment].goods,
    )
    text = (
        f"{spoken(incident.happened_on)}, {depot.name}. {told} Cause: {incident.cause}. "
        f"The damage came to {incident.cost:,} euro; the case is {incident.status}."
    )
    attributes: dict[str, Attribute] = {
        "category": incident.category,
        "cause": incident.cause,
        "severity": incident.severity,
        "status": incident.status,
        "depot": depot.town,
        "cost": incident.cost,
        "occurred_on": incident.happened_on.isoformat(),
    }
    links = (
        Link("HAPPENED_AT", depot.id),
        *(Link("INVOLVES", person) for person in incident.people),
        Link("DAMAGED", incident.truck),
        Link("CONCERNS", incident.shipment),
    )
    title = f"{incident.category.capitalize()} incident {incident.id} at the {depot.name}"
    source = f"incidents/{incident.id}"
    return Record(incident.id, "incident", title, text, source, attributes, links)


def _inspection(world: World, inspection: Inspection) -> Record:
    mechanic, truck = world.person[inspection.mechanic], world.truck[inspection.truck]
    depot = world.depot[truck.depot]
    text = (
        f"{mechanic.name} inspected truck {truck.id} at the {depot.name} on "
        f"{spoken(inspection.done_on)}: {inspection.finding}. Result: {inspection.result}."
    )
    attributes: dict[str, Attribute] = {
        "truck": truck.id,
        "depot": depot.town,
        "result": inspection.result,
        "occurred_on": inspection.done_on.isoformat(),
    }
    links = (Link("INSPECTED", truck.id), Link("INSPECTED_BY", mechanic.id))
    title, source = (
        f"Inspection {inspection.id} of truck {truck.id}",
        f"inspections/{inspection.id}",
    )
    return Record(inspection.id, "inspection", title, text, source, attributes, links)


__all__ = ["COMPANY", "records", "spoken"]
