"""The freight company is consistent: nothing in it contradicts anything else."""

from collections import Counter
from datetime import date

import pytest

from router.knowledge.record_validation import validate_record
from router.knowledge.record_writer import search_names
from sluice.demo.company import AS_OF, Company, build_company, generate_records
from sluice.demo.company.staff import slug


@pytest.fixture(scope="module")
def world() -> Company:
    return build_company(7)


def test_same_seed_same_company() -> None:
    assert generate_records(7) == generate_records(7)
    assert generate_records(7) != generate_records(8)


@pytest.mark.parametrize("seed", [1, 7, 99])
def test_every_seed_gives_linked_records_of_every_kind(seed: int) -> None:
    records = generate_records(seed)
    ids = {record.id for record in records}
    assert 500 <= len(records) <= 800
    assert len(ids) == len(records)
    assert all(link.target in ids for record in records for link in record.links)
    assert min(Counter(record.kind for record in records).values()) >= 1
    for record in records:
        validate_record(record)  # every store can take it


def test_text_carries_no_template_residue() -> None:
    for record in generate_records():
        assert record.title
        assert record.text.endswith((".", "?"))
        assert not set("{}") & set(record.text), record.id


def test_no_two_people_share_a_name(world: Company) -> None:
    assert len({slug(person.name) for person in world.people}) == len(world.people)


def test_everybody_reports_to_the_managing_director_in_the_end(world: Company) -> None:
    for person in world.people:
        seen, at = set(), person
        while at.manager:
            assert at.id not in seen
            seen.add(at.id)
            at = world.person[at.manager]
        assert at.role == "managing director"


def test_each_driver_has_one_truck_of_the_same_depot(world: Company) -> None:
    driven = [truck for truck in world.trucks if truck.driver]
    assert len({truck.driver for truck in driven}) == len(driven)
    assert all(world.person[str(truck.driver)].depot == truck.depot for truck in driven)


def test_invoices_follow_their_contract_and_their_status(world: Company) -> None:
    for invoice in world.invoices:
        contract = world.contract[invoice.contract]
        assert invoice.customer == contract.customer
        assert contract.signed_on < invoice.issued_on <= min(contract.ends_on, AS_OF)
        assert invoice.issued_on < invoice.due_on
        if invoice.status == "paid":
            assert invoice.paid_on is not None
            assert invoice.issued_on < invoice.paid_on <= AS_OF
        else:
            assert invoice.paid_on is None
            assert (invoice.due_on < AS_OF) == (invoice.status == "overdue")


def test_shipments_run_within_contract_with_the_truck_s_own_driver(world: Company) -> None:
    for shipment in world.shipments:
        contract, truck = world.contract[shipment.contract], world.truck[shipment.truck]
        assert contract.signed_on < shipment.departed_on <= contract.ends_on
        assert truck.driver == shipment.driver
        assert truck.depot == world.route[shipment.route].origin == contract.depot
        assert truck.refrigerated or contract.service != "refrigerated transport"
        assert world.person[shipment.driver].hired_on < shipment.departed_on


def test_incidents_happen_to_those_who_were_there(world: Company) -> None:
    for incident in world.incidents:
        shipment = world.shipment[incident.shipment]
        assert incident.happened_on == shipment.departed_on
        assert incident.people[0] == shipment.driver
        assert (incident.truck, incident.depot) == (
            shipment.truck,
            world.truck[shipment.truck].depot,
        )


def test_nothing_is_later_than_the_books(world: Company) -> None:
    days = [
        date.fromisoformat(str(r.attributes["occurred_on"]))
        for r in generate_records()
        if "occurred_on" in r.attributes
    ]
    assert max(days) <= world.as_of


def test_handbook_is_prose_with_questions(world: Company) -> None:
    assert 40 <= len(world.pages) <= 60
    for page in world.pages:
        assert 60 <= len(page.text.split()) <= 130
        assert len(page.questions) >= 2


def test_identifiers_in_titles_are_names_the_graph_can_look_up() -> None:
    truck = next(record for record in generate_records() if record.kind == "truck")
    assert truck.id.lower() in search_names(truck)
