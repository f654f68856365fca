"""A flag compared with its audit log and with its rollout: what serves must be what was written."""

from collections.abc import Iterable

from temporalio.client import WorkflowExecutionDescription

from sluice.flags import AuditEntry, FlagState
from sluice.rollout.engine.state import State, Status
from workflows.temporal_ui import PERCENTAGE, STATUS


def audit_problem(flag: FlagState, entries: Iterable[AuditEntry]) -> str:
    """Return how the flag serves more than its last audited writes allow, or an empty text.

    ``entries``: the flag's audit log, newest first.
    """
    audited_fields: dict[str, object] = {}
    for entry in entries:
        if isinstance(entry.after, dict):
            audited_fields = {**entry.after, **audited_fields}
    percentage = audited_fields.get("rollout_percentage")
    if audited_fields.get("killed") is True and not flag.killed:
        return "its kill latch was cleared by a write that is not in the audit log"
    if isinstance(percentage, int | float) and flag.rollout_percentage > percentage:
        return f"the audit log has {percentage:g} %: a write went past it"
    return ""


def reset_problem(flag: FlagState, state: State) -> str:
    """Return how the store is ahead of the rollout, or an empty text.

    A reset of its workflow takes a rollout back, and not what it has written since.
    """
    fence = flag.fence
    if fence.owner != state.run_id or fence.sequence <= state.sequence:
        return ""
    return (
        f"its workflow was reset: the store has write {fence.sequence} of this rollout, which itself "
        f"knows {state.sequence}; flag {flag.name} is at {flag.rollout_percentage:g} %. "
        f"`sluice rollback {flag.name} --emergency` takes it to 0 %, then `sluice retry {flag.name}` goes on"
    )


def rollout_problem(flag: FlagState, run: WorkflowExecutionDescription) -> str:
    """Return how the flag serves more than its rollout's own status allows, or an empty text."""
    status = run.typed_search_attributes.get(STATUS)
    percentage = run.typed_search_attributes.get(PERCENTAGE)
    if status == Status.ABORTED:
        return "its rollout was aborted, and its red flags are not watched"
    if status is not None and percentage is not None and flag.rollout_percentage > percentage:
        return f"its rollout is {status} at {percentage:g} %"
    return ""
