"""Routes, shipments, incidents and inspections as records."""

from router.knowledge.records import Attribute, Link, Record
from sluice.demo.company.date_words import long_date
from sluice.demo.company.model import Company, FreightRoute, Incident, Inspection, Shipment


def route_record(company: Company, route: FreightRoute) -> Record:
    start, end = company.depot[route.origin], company.depot[route.destination]
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


def shipment_record(company: Company, shipment: Shipment) -> Record:
    customer, route = company.customer[shipment.customer], company.route[shipment.route]
    start, end = company.depot[route.origin], company.depot[route.destination]
    driver = company.person[shipment.driver]
    ending = (
        f"It was {shipment.status} on {long_date(shipment.delivered_on)}."
        if shipment.delivered_on
        else "It is still in transit."
    )
    text = (
        f"Shipment {shipment.id} took {shipment.weight_kg:,} kg of {shipment.goods} for "
        f"{customer.name} from {start.town} to {end.town} on route {route.id}. {driver.name} left "
        f"with truck {shipment.truck} on {long_date(shipment.departed_on)}. {ending}"
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


def incident_record(company: Company, incident: Incident) -> Record:
    depot, driver = company.depot[incident.depot], company.person[incident.people[0]]
    narrative = incident.narrative.format(
        driver=driver.name,
        truck=incident.truck,
        goods=company.shipment[incident.shipment].goods,
    )
    text = (
        f"{long_date(incident.happened_on)}, {depot.name}. {narrative} Cause: {incident.cause}. "
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


def inspection_record(company: Company, inspection: Inspection) -> Record:
    mechanic, truck = company.person[inspection.mechanic], company.truck[inspection.truck]
    depot = company.depot[truck.depot]
    text = (
        f"{mechanic.name} inspected truck {truck.id} at the {depot.name} on "
        f"{long_date(inspection.done_on)}: {inspection.finding}. Result: {inspection.result}."
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
