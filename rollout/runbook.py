"""Which page tells a person what to do about an alert."""

from rollout.gate import Gate
from rollout.state import Finding, State

_FOLDER = "docs/runbooks"
OWN = {
    "killed": f"{_FOLDER}/flag.md",
    "flag_differs": f"{_FOLDER}/flag.md",
    "rollback_slow": f"{_FOLDER}/rollback_slow.md",
    "paused": f"{_FOLDER}/waiting.md",
    "approval_waits": f"{_FOLDER}/waiting.md",
}
"""What a rollout tells besides its plan's red flags."""


def runbook_for(state: State, alert: str) -> str:
    """The page for an alert: that of the red flag behind it; empty when the plan names none."""
    rollback = state.rollback
    if alert == "rolled_back" and rollback is not None and rollback.finding is not None:
        return runbook_of(rollback.finding)
    if alert in OWN:
        return OWN[alert]
    step = state.exposed_step
    return next((one.runbook for one in (step.red_flags if step else ()) if one.name == alert), "")


def runbook_of(finding: Finding) -> str:
    gate: Gate | None = finding.gate
    return OWN.get(finding.kind, "") or (gate.runbook if gate is not None else "")


def located(runbook: str, base: str) -> str:
    """The page's address: ``base`` before a relative one; as it is when it is a URL already."""
    if not runbook or not base or "://" in runbook:
        return runbook
    return f"{base.rstrip('/')}/{runbook.lstrip('/')}"
