"""What-ifs as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from rollout.plan import RolloutPlan
from rollout.whatif import Change
from rollout.whatif_course import Ending, Visit

SHOWN_MAX = 30


def text(
    rollout_id: str, changes: Sequence[Change], course: Sequence[Visit], plan: RolloutPlan | None
) -> str:
    """Verdicts that change, those that can't be told, and how each step would have ended."""
    differing = [change for change in changes if change.differs]
    unknown = [change for change in changes if change.unknown]
    lines = [
        f"{rollout_id}: {len(changes)} recorded verdicts judged again, {len(differing)} change"
    ]
    lines += [_line(change) for change in differing[:SHOWN_MAX]]
    if len(differing) > SHOWN_MAX:
        lines.append(f"… and {len(differing) - SHOWN_MAX} more; --json has them all")
    if unknown:
        lines.append(f"{len(unknown)} can't be judged again: {unknown[0].unknown}")
    if plan is None:
        lines.append("How it would have ended: its plan is in the ledger only at its end, and its "
                     "workflow does not answer.")  # fmt: skip
    lines += [_step(visit) for visit in course]
    lines.append(_conclusion(course))
    return "\n".join(line for line in lines if line)


def _line(change: Change) -> str:
    before, after = change.before, change.after
    return (
        f"{change.at:%Y-%m-%d %H:%M:%S} {change.step} {before.outcome} → {after.outcome}: "
        f"{before.because} → {after.because}"
    )


def _step(visit: Visit) -> str:
    told = f"{visit.step}: {_told(visit.before)}"
    if visit.differs:
        return f"{told}; with the edits {_told(visit.after)} ({visit.after.because})"
    return f"{told}, with the edits too"


def _told(ending: Ending) -> str:
    if ending.kind == "waits":
        return "undecided at the end of its record"
    return f"{ending.kind} at {ending.at:%Y-%m-%d %H:%M:%S}"


def _conclusion(course: Sequence[Visit]) -> str:
    if not course:
        return ""
    last = course[-1]
    if not last.differs:
        return "The rollout would have gone the same way, by its rules alone."
    return (
        f"The rollout would have gone another way from {last.step} on, and what then would have been "
        f"was never measured. Recorded: {last.recorded}"
    )


def document(
    rollout_id: str, edits: Sequence[str], changes: Sequence[Change], course: Sequence[Visit]
) -> dict[str, Any]:
    """All of it for scripts."""
    return {
        "rollout": rollout_id,
        "edits": list(edits),
        "verdicts": [{**c.model_dump(mode="json"), "differs": c.differs} for c in changes],
        "changed": sum(change.differs for change in changes),
        "steps": [{**v.model_dump(mode="json"), "differs": v.differs} for v in course],
    }
