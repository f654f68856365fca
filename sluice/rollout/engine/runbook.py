"""Which page tells a person what to do about an alert."""

from sluice.rollout.analysis.gate import Gate
from sluice.rollout.engine.state import Finding, State

_RUNBOOKS_FOLDER = "docs/runbooks"
BUILT_IN_RUNBOOKS = {
    "killed": f"{_RUNBOOKS_FOLDER}/flag.md",
    "flag_drift": f"{_RUNBOOKS_FOLDER}/flag.md",
    "blind": f"{_RUNBOOKS_FOLDER}/blind.md",
    "rollback_slow": f"{_RUNBOOKS_FOLDER}/rollback_slow.md",
    "paused": f"{_RUNBOOKS_FOLDER}/waiting.md",
    "approval_needed": f"{_RUNBOOKS_FOLDER}/waiting.md",
}
"""What a rollout tells besides its plan's red flags."""


def runbook_for_alert(state: State, alert: str) -> str:
    """The page for an alert: that of the red flag behind it; empty when the plan names none."""
    rollback = state.rollback
    if alert == "rolled_back" and rollback is not None and rollback.finding is not None:
        return runbook_for_finding(rollback.finding)
    if alert in BUILT_IN_RUNBOOKS:
        return BUILT_IN_RUNBOOKS[alert]
    step = state.exposed_step
    return next((one.runbook for one in (step.red_flags if step else ()) if one.name == alert), "")


def runbook_for_finding(finding: Finding) -> str:
    gate: Gate | None = finding.gate
    return BUILT_IN_RUNBOOKS.get(finding.kind, "") or (gate.runbook if gate is not None else "")


def runbook_url(runbook: str, base: str) -> str:
    """The page's address: ``base`` before a relative one; as it is when it is a URL already."""
    if not runbook or not base or "://" in runbook:
        return runbook
    return f"{base.rstrip('/')}/{runbook.lstrip('/')}"
