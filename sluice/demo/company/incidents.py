"""Incidents: category, cause, narrative and response."""

import random
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle

from sluice.demo.company import vocabulary
from sluice.demo.company.model import Incident, Person, Shipment, Truck, by_id
from sluice.demo.company.seeded_random import AS_OF, random_stream, shuffled

INCIDENT_COUNT = 50


@dataclass(frozen=True, slots=True)
class IncidentTemplate:
    """An incident's text, in which ``{driver}``, ``{goods}`` and ``{truck}`` are filled in."""

    category: str
    cause: str
    severity: str
    narrative: str


INCIDENT_TEMPLATES = (
    IncidentTemplate("cold-chain", "door seal failure", "high",
          "The logger of {truck} showed 9.4 °C for three hours because the seal of the rear door had torn. {driver} noticed the alarm at the second stop. The {goods} were refused by the receiver and destroyed."),
    IncidentTemplate("cold-chain", "cooling unit switched off", "high",
          "The cooling unit of {truck} had been switched off at the ferry and was not started again. When {driver} opened the doors the {goods} stood at 11 °C. Two thirds of the load were written off."),
    IncidentTemplate("cold-chain", "late loading", "medium",
          "The {goods} waited 70 minutes on an uncooled ramp because dock slots were double-booked. {driver} measured 7.8 °C at departure and the customer accepted the load with a discount."),
    IncidentTemplate("collision", "reversing without a guide", "medium",
          "While reversing to the ramp without a guide, {driver} hit a bollard with {truck}. The rear underrun bar was bent; nobody was hurt and the {goods} were unharmed."),
    IncidentTemplate("collision", "aquaplaning", "high",
          "After a cloudburst {truck} lost its grip and slid into the crash barrier at low speed. {driver} was unhurt. Recovery took four hours and the {goods} were moved to another truck."),
    IncidentTemplate("collision", "misjudged turn", "low",
          "{driver} misjudged a narrow turn and scraped a parked car with the trailer of {truck}. Details were exchanged on the spot and the insurer was informed the same day."),
    IncidentTemplate("pallet damage", "poor load securing", "medium",
          "Six pallets of {goods} tipped over after hard braking because only two straps had been used. {driver} photographed the damage before unloading and the receiver signed with reservation."),
    IncidentTemplate("pallet damage", "forklift error", "low",
          "A forklift fork went through two pallets of {goods} while {truck} was being loaded. {driver} had the damage noted on the consignment note before leaving."),
    IncidentTemplate("theft", "unsecured parking", "high",
          "The tarpaulin of {truck} was slit at night on an unguarded car park and part of the {goods} was stolen. {driver} called the police at 05:20 and waited for the report."),
    IncidentTemplate("theft", "fuel taken overnight", "medium",
          "About 300 litres of diesel were siphoned from {truck} during the night rest. {driver} found the tank cap forced open. The {goods} were not touched."),
    IncidentTemplate("breakdown", "turbocharger failure", "medium",
          "{truck} lost power and had to be towed from the hard shoulder; the turbocharger had failed. {driver} secured the scene and the {goods} arrived nine hours late."),
    IncidentTemplate("breakdown", "tyre burst", "medium",
          "A tyre on the trailer of {truck} burst at 80 km/h. {driver} brought the vehicle to a halt safely and roadside service replaced the tyre within two hours. The {goods} were unharmed."),
    IncidentTemplate("spill", "leaking drum", "high",
          "A leaking drum among the {goods} left a puddle of about 15 litres on the loading floor of {truck}. {driver} closed the drain, used the spill kit and called the safety desk."),
    IncidentTemplate("workplace injury", "fall from the tail lift", "high",
          "{driver} slipped from the wet tail lift of {truck} while unloading {goods} and sprained a wrist. First aid was given and the accident insurer was informed within three days."),
    IncidentTemplate("workplace injury", "missing safety shoes", "medium",
          "A roll cage with {goods} ran over the foot of {driver}, who was wearing trainers. The toe was bruised; the depot repeated its briefing on protective equipment."),
    IncidentTemplate("customs delay", "wrong commodity code", "low",
          "The papers for the {goods}, which were to go on to Norway, carried a wrong commodity code and {truck} was held at the ferry port for six hours. {driver} was relieved because driving time had run out."),
    IncidentTemplate("customs delay", "missing export declaration", "medium",
          "The export declaration for the {goods} to Norway had not been released when {driver} reached the port with {truck}. The load stood overnight until the customs officer got it through."),
    IncidentTemplate("near miss", "load shifted in a bend", "low",
          "In a roundabout {driver} felt the {goods} move in {truck}, stopped at once and found two straps loose. The load was secured again; there was no damage."),
)  # fmt: skip


COLD_CHAIN_TEMPLATES = tuple(
    story for story in INCIDENT_TEMPLATES if story.category == "cold-chain"
)
OTHER_TEMPLATES = tuple(story for story in INCIDENT_TEMPLATES if story.category != "cold-chain")
CHILLED_GOODS = frozenset(vocabulary.GOODS[industry] for industry in vocabulary.CHILLED)
COLD_CHAIN_SHARE = 0.5
COSTS = {"low": (0, 900), "medium": (400, 6_500), "high": (3_000, 28_000)}


def incidents(
    seed: int, shipments: tuple[Shipment, ...], fleet: tuple[Truck, ...], staff: tuple[Person, ...]
) -> tuple[Incident, ...]:
    """Generate incidents on distinct shipments, on their days of departure, numbered by day."""
    rng = random_stream(seed, "incidents")
    hit = sorted(
        rng.sample(shipments, INCIDENT_COUNT),
        key=lambda shipment: (shipment.departed_on, shipment.id),
    )
    trucks, other_templates = by_id(fleet), cycle(shuffled(rng, OTHER_TEMPLATES))
    dispatchers = {
        employee.depot: employee.id for employee in staff if employee.kind == "dispatcher"
    }
    records = []
    for at, shipment in enumerate(hit):
        cold = shipment.goods in CHILLED_GOODS and rng.random() < COLD_CHAIN_SHARE
        story = rng.choice(COLD_CHAIN_TEMPLATES) if cold else next(other_templates)
        depot = trucks[shipment.truck].depot
        people = (shipment.driver, dispatchers[depot])
        records.append(
            _incident(rng, story, _IncidentContext(f"INC-{41 + at}", shipment, depot, people))
        )
    return tuple(records)


@dataclass(frozen=True, slots=True)
class _IncidentContext:
    number: str
    shipment: Shipment
    depot: str
    people: tuple[str, ...]


def _incident(rng: random.Random, story: IncidentTemplate, scene: _IncidentContext) -> Incident:
    day = scene.shipment.departed_on
    closed = rng.random() < (0.9 if AS_OF - day > timedelta(days=60) else 0.4)
    return Incident(
        id=scene.number,
        category=story.category,
        cause=story.cause,
        severity=story.severity,
        status="closed" if closed else "under investigation",
        depot=scene.depot,
        happened_on=day,
        people=scene.people,
        truck=scene.shipment.truck,
        shipment=scene.shipment.id,
        cost=rng.randint(*COSTS[story.severity]) // 10 * 10,
        narrative=story.narrative,
    )
