"""What-ifs as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.whatif import VerdictChange
from sluice.rollout.review.whatif_replay import StepEnding, StepReplay

SHOWN_MAX = 30


def whatif_text(
    rollout_id: str,
    changes: Sequence[VerdictChange],
    replays: Sequence[StepReplay],
    plan: RolloutPlan | None,
) -> str:
    """Verdicts that change, those that can't be told, and how each step would have ended."""
    differing = [change for change in changes if change.differs]
    unknown = [change for change in changes if change.unknown]
    lines = [
        f"{rollout_id}: {len(changes)} recorded verdicts judged again, {len(differing)} change"
    ]
    lines += [_change_line(change) for change in differing[:SHOWN_MAX]]
    if len(differing) > SHOWN_MAX:
        lines.append(f"… and {len(differing) - SHOWN_MAX} more; --json has them all")
    if unknown:
        lines.append(f"{len(unknown)} can't be judged again: {unknown[0].unknown}")
    if plan is None:
        lines.append("How it would have ended: its plan is in the ledger only at its end, and its "
                     "workflow does not answer.")  # fmt: skip
    lines += [_step_line(visit) for visit in replays]
    lines.append(_conclusion(replays))
    return "\n".join(line for line in lines if line)


def _change_line(change: VerdictChange) -> str:
    before, after = change.before, change.after
    return (
        f"{change.at:%Y-%m-%d %H:%M:%S} {change.step} {before.outcome} → {after.outcome}: "
        f"{before.reason} → {after.reason}"
    )


def _step_line(visit: StepReplay) -> str:
    told = f"{visit.step}: {_ending_text(visit.before)}"
    if visit.differs:
        return f"{told}; with the edits {_ending_text(visit.after)} ({visit.after.reason})"
    return f"{told}, with the edits too"


def _ending_text(ending: StepEnding) -> str:
    if ending.kind == "undecided":
        return "undecided at the end of its record"
    return f"{ending.kind} at {ending.at:%Y-%m-%d %H:%M:%S}"


def _conclusion(course: Sequence[StepReplay]) -> str:
    if not course:
        return ""
    last = course[-1]
    if not last.differs:
        return "The rollout would have gone the same way, by its rules alone."
    return (
        f"The rollout would have gone another way from {last.step} on, and what then would have been "
        f"was never measured. Recorded: {last.recorded}"
    )


def whatif_document(
    rollout_id: str,
    overrides: Sequence[str],
    changes: Sequence[VerdictChange],
    replays: Sequence[StepReplay],
) -> dict[str, Any]:
    """All of it for scripts."""
    return {
        "rollout": rollout_id,
        "overrides": list(overrides),
        "verdicts": [{**c.model_dump(mode="json"), "differs": c.differs} for c in changes],
        "changed": sum(change.differs for change in changes),
        "steps": [{**v.model_dump(mode="json"), "differs": v.differs} for v in replays],
    }
