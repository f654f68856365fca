"""The output of ``sluice whatif``: text and JSON."""

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
    """Return the changed verdicts, the undecidable ones, and each step's end."""
    differing = [change for change in changes if change.differs]
    unknown = [change for change in changes if change.unknown]
    lines = [
        f"{rollout_id}: {len(changes)} recorded verdicts judged again, {len(differing)} change"
    ]
    lines += [_change_line(change) for change in differing[:SHOWN_MAX]]
    if len(differing) > SHOWN_MAX:
        lines.append(f"… and {len(differing) - SHOWN_MAX} more; --json has them all")
    if unknown:
        lines.append(f"{len(unknown)} cannot be judged again: {unknown[0].unknown}")
    if plan is None:
        lines.append("The end is not computed: the plan reaches the ledger only at the rollout's end, and its "
                     "workflow does not answer.")  # fmt: skip
    lines += [_step_line(visit) for visit in replays]
    lines.append(_conclusion(replays, differing))
    return "\n".join(line for line in lines if line)


def _change_line(change: VerdictChange) -> str:
    before, after = change.before, change.after
    return (
        f"{change.at:%Y-%m-%d %H:%M:%S} {change.step} {before.outcome} → {after.outcome}: "
        f"{before.reason} → {after.reason}"
    )


def _step_line(visit: StepReplay) -> str:
    recorded = f"{visit.step}: {_ending_text(visit.before)}"
    if visit.differs:
        return f"{recorded}; with the edits {_ending_text(visit.after)} ({visit.after.reason})"
    return f"{recorded}, with the edits too"


def _ending_text(ending: StepEnding) -> str:
    if ending.kind == "undecided":
        return "undecided at the end of its record"
    return f"{ending.kind} at {ending.at:%Y-%m-%d %H:%M:%S}"


def _conclusion(replays: Sequence[StepReplay], differing: Sequence[VerdictChange]) -> str:
    if not replays:
        return ""
    last = replays[-1]
    if not last.differs:
        return _unchanged_conclusion(replays, differing)
    return (
        f"The rollout would have differed from {last.step} on. The readings after that point "
        f"were never measured. Recorded: {last.recorded}"
    )


def _unchanged_conclusion(replays: Sequence[StepReplay], differing: Sequence[VerdictChange]) -> str:
    """Conclude from equal replays: nothing, where the recorded end is not due to them."""
    for visit in replays:
        causes = [change for change in differing if change.before.reason in visit.recorded]
        if causes:
            return (
                f"The verdict that ended {visit.step} turns {causes[-1].after.outcome}, so the "
                f"rollout would have differed from there on. Recorded: {visit.recorded}"
            )
        if not visit.is_reproduced:
            return (
                f"Unknown from {visit.step} on: its recorded end does not follow from its "
                f"recorded checks alone. Recorded: {visit.recorded}"
            )
    return "By its rules alone, the rollout would have ended the same way."


def whatif_document(
    rollout_id: str,
    overrides: Sequence[str],
    changes: Sequence[VerdictChange],
    replays: Sequence[StepReplay],
) -> dict[str, Any]:
    """Return the what-if as JSON values."""
    return {
        "rollout": rollout_id,
        "overrides": list(overrides),
        "verdicts": [{**c.model_dump(mode="json"), "differs": c.differs} for c in changes],
        "changed": sum(change.differs for change in changes),
        "steps": [{**v.model_dump(mode="json"), "differs": v.differs} for v in replays],
    }
