"""The runbook page of each alert."""

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
"""Pages of the alerts that no red flag of a plan raises."""


def runbook_for_alert(state: State, alert: str) -> str:
    """Return the page of the alert, or of the red flag behind it; empty without one."""
    rollback = state.rollback
    if alert == "rolled_back" and rollback is not None and rollback.finding is not None:
        return runbook_for_finding(rollback.finding)
    if alert in BUILT_IN_RUNBOOKS:
        return BUILT_IN_RUNBOOKS[alert]
    step = state.exposed_step
    red_flags = step.red_flags if step else ()
    return next((gate.runbook for gate in red_flags if gate.name == alert), "")


def runbook_for_finding(finding: Finding) -> str:
    """Return the page of the finding's alert; empty when the plan names none."""
    gate: Gate | None = finding.gate
    return BUILT_IN_RUNBOOKS.get(finding.kind, "") or (gate.runbook if gate is not None else "")


def runbook_url(runbook: str, base: str) -> str:
    """Return the page's address: ``base`` before a relative one; a URL stays as it is."""
    if not runbook or not base or "://" in runbook:
        return runbook
    return f"{base.rstrip('/')}/{runbook.lstrip('/')}"
