"""The people of the demo: what they vouch for on the checklists that no machine can check."""

from rollout.commands import Command
from rollout.plan import RolloutPlan

KNOWS = {
    "tests-passing": ("demo-ci", "CI runs .ci/run on every change; the demo does not run it again"),
    "on-call-assigned": ("demo-lead", "demo-oncall watches this terminal"),
    "stakeholders-notified": ("demo-lead", "whoever typed `make demo` knows"),
    "rollback-documented": ("demo-oncall", "docs/guide.md, Rollback Procedures"),
    "team-trained": ("demo-lead", "docs/metrics.md has been read"),
    "documentation-updated": ("demo-lead", "docs/plans.md and docs/guide.md describe this plan"),
    "lessons-documented": ("demo-oncall", "the post-mortem at the end has room for them"),
}
ANYBODY = ("demo-lead", "taken as true in the demo")


def words_for(plan: RolloutPlan) -> list[Command]:
    """One attestation for each item of the plan that only a person can know."""
    items = [item for step in plan.steps for item in step.checklist if item.check == "attested"]
    known = ((item.name, *KNOWS.get(item.name, ANYBODY)) for item in items)
    return [Command(actor=who, reason=note, item=name) for name, who, note in known]
