"""Depots, people, trucks and the handbook as records."""

from router.knowledge.records import Attribute, Link, Record
from sluice.demo.company.date_words import long_date
from sluice.demo.company.model import Company, Depot, Page, Person, Truck
from sluice.demo.company.vocabulary import COMPANY_NAME


def depot_record(company: Company, depot: Depot) -> Record:
    manager = next(p for p in company.people if p.depot == depot.id and p.role == "depot manager")
    cold = "It has a cold store." if depot.cold_store else "It has no cold store."
    text = (
        f"The {depot.name} in {depot.country}, {depot.address}, opened on "
        f"{long_date(depot.opened_on)} and has {depot.docks} docks. {cold} "
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


def person_record(company: Company, person: Person) -> Record:
    depot = company.depot[person.depot]
    sentences = [
        f"{person.name} is {person.role} at the {depot.name} and joined {COMPANY_NAME} on "
        f"{long_date(person.hired_on)}."
    ]
    links = [Link("WORKS_AT", depot.id)]
    if person.manager:
        boss = company.person[person.manager]
        sentences.append(f"{person.name} reports to {boss.name}, {boss.role}.")
        links.append(Link("REPORTS_TO", boss.id))
    for truck in (vehicle for vehicle in company.trucks if vehicle.driver == person.id):
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


def truck_record(company: Company, truck: Truck) -> Record:
    depot = company.depot[truck.depot]
    body = "a refrigerated trailer" if truck.refrigerated else "a curtain-sided trailer"
    driver = company.person[truck.driver].name if truck.driver else None
    driver_sentence = (
        f"{driver} drives it." if driver else "It is kept as a spare and has no fixed driver."
    )
    text = (
        f"Truck {truck.id} is a {truck.make} {truck.model} built in {truck.year} with {body}, "
        f"stationed at the {depot.name}. {driver_sentence} It has run {truck.mileage_km:,} km and is "
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


def page_record(company: Company, page: Page) -> Record:
    owner = company.person[page.owner]
    attributes: dict[str, Attribute] = {
        "chapter": page.chapter,
        "owner": owner.name,
        "occurred_on": page.revised_on.isoformat(),
    }
    source = f"handbook/{page.chapter}/{page.id}"
    links = (Link("OWNED_BY", owner.id),)
    return Record(page.id, "page", page.title, page.text, source, attributes, links)
