"""Checklists: what must be true before a step starts (guide: Pre-Deployment Checklist)."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Gate
from sluice.rollout.model import Model, TupleOf
from sluice.rollout.printable import Title
from sluice.rollout.units import Duration, parse_duration

ItemCheck = Literal[
    "attested",
    "stores",
    "targets",
    "metrics",
    "dashboards",
    "alerts",
    "flags",
    "drill",
    "gate",
    "baseline",
    "earlier_steps",
    "live_time",
    "excludes",
    "after",
]
AUTOMATED_CHECKS = (
    "stores",
    "targets",
    "metrics",
    "dashboards",
    "alerts",
    "flags",
    "drill",
    "gate",
    "excludes",
    "after",
)
"""Kinds that an activity checks; ``baseline``, ``earlier_steps`` and ``live_time`` are in the state."""
NAMING_CHECKS = ("dashboards", "alerts", "targets", "excludes", "after")
DRILL_LIMIT = parse_duration("1s")


class ChecklistItem(Model):
    """One line of a checklist. ``check``: a person (``attested``) or a machine.

    stores         every store that the router processes use answers each of them
    targets        Prometheus scrapes every live process (jobs in ``names``: router), and each is up
    metrics        Prometheus answers the query of every baseline of the plan
    dashboards     the dashboards in ``names`` are in Grafana
    alerts         the alert rules in ``names`` are loaded in Prometheus, and healthy
    flags          a throw-away flag, raised, is seen so by every router process
    drill          a throw-away flag goes from 100 % to 0 % in every process within ``limit``
    gate           ``gate`` is Successful
    baseline       every baseline of the plan is recorded
    earlier_steps  every earlier step of the plan has ended well
    excludes       no flag in ``names`` treats a part of the users
    after          the last rollout of each ``flag@environment`` in ``names`` ended Healthy
    live_time      the step before has been live for ``at_least``, from its start on
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100)
    title: Title
    guide: str = ""
    check: ItemCheck = "attested"
    names: TupleOf[str] = ()
    limit: Duration = DRILL_LIMIT
    at_least: Duration | None = None
    gate: Gate | None = None

    @model_validator(mode="after")
    def _require_complete(self) -> Self:
        if (self.check == "gate") != (self.gate is not None):
            raise ValueError("check: gate needs a gate, and no other check has one")
        if self.check in ("dashboards", "alerts", "excludes", "after") and not self.names:
            raise ValueError(f"check: {self.check} needs names")
        if self.names and self.check not in NAMING_CHECKS:
            raise ValueError(f"names belong to {', '.join(NAMING_CHECKS)}; remove them")
        if (self.check == "live_time") != bool(self.at_least):
            raise ValueError(
                "check: live_time needs at_least, for example 14d; no other check has it"
            )
        return self


class ItemResult(Model):
    """The result of a machine's check of one item."""

    item: str
    passed: bool
    reason: str
    at: datetime


class Attestation(Model):
    """A person's statement about an item that no machine can check."""

    item: str
    actor: str
    note: str
    at: datetime


class ChecklistSchedule(Model):
    """The intervals at which a machine repeats failed checks, and passed ones that are too old."""

    retry_every: Duration = parse_duration("1m")
    valid_for: Duration = parse_duration("1h")

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        if not parse_duration("1s") <= self.retry_every <= self.valid_for:
            raise ValueError("retry_every must be at least 1s and not longer than valid_for")
        return self
