"""The demo's people and their attestations of checklist items."""

from sluice.rollout.engine.commands import Command
from sluice.rollout.plan.schema import RolloutPlan

ATTESTATIONS = {
    "tests-passing": ("demo-ci", "CI runs .ci/run on every change; the demo does not run it again"),
    "on-call-assigned": ("demo-lead", "demo-oncall watches this terminal"),
    "stakeholders-notified": ("demo-lead", "the person at `make demo` is the stakeholder"),
    "rollback-documented": ("demo-oncall", "docs/guide.md, Rollback Procedures"),
    "team-trained": ("demo-lead", "docs/metrics.md has been read"),
    "documentation-updated": ("demo-lead", "docs/plans.md and docs/guide.md describe this plan"),
    "lessons-documented": ("demo-oncall", "the post-mortem at the end has room for them"),
}
DEFAULT_ATTESTATION = ("demo-lead", "taken as true in the demo")


def attestations_for(plan: RolloutPlan) -> list[Command]:
    """Return an attestation for each item of the plan that needs a person."""
    items = [item for step in plan.steps for item in step.checklist if item.check == "attested"]
    attestations = (
        (item.name, *ATTESTATIONS.get(item.name, DEFAULT_ATTESTATION)) for item in items
    )
    return [Command(actor=actor, reason=note, item=name) for name, actor, note in attestations]
