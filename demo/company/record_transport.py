"""Routes, shipments, incidents and inspections as records."""

from demo.company.model import Incident, Inspection, Route, Shipment, World
from demo.company.wording import spoken
from router.records import Attribute, Link, Record


def route(world: World, route: Route) -> Record:
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


def shipment(world: World, shipment: Shipment) -> Record:
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


def incident(world: World, incident: Incident) -> Record:
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


def inspection(world: World, inspection: Inspection) -> Record:
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
