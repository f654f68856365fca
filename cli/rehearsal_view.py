"""Rehearsals as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from rehearsal.outcome import Outcome
from rehearsal.study import Study
from rollout.quantity import format_duration


def text(outcome: Outcome, title: str) -> str:
    """The timeline, what fired, how late, and whom it cost what."""
    lines = [f"{outcome.scenario} (seed {outcome.seed}): {title}", *_timeline(outcome), ""]
    where = f" in {outcome.step}" if outcome.step and outcome.end != "Healthy" else ""
    lines.append(f"{outcome.end}{where} after {format_duration(outcome.took)}, by {outcome.by}")
    if outcome.fired is not None:
        names = ", ".join(outcome.fired.names) or outcome.fired.kind
        lines.append(f"fired: {names}: {outcome.fired.because}")
    if outcome.fault_at is not None:
        late = format_duration(outcome.delay) if outcome.delay is not None else "never rolled back"
        lines.append(
            f"detection delay: {late}; meanwhile the treatment answered {outcome.queries:,} queries, "
            f"{outcome.errors:,} of them failed; {outcome.users:,} users in the busiest hour"
        )
    return "\n".join(lines)


def _timeline(outcome: Outcome) -> list[str]:
    rows = [
        (
            event.at,
            event.kind,
            f"{'' if event.actor == 'sluice' else event.actor + ': '}{event.text}",
        )
        for event in outcome.timeline
    ]
    if outcome.fault_at is not None:
        rows.append((outcome.fault_at, "FAULT", "begins"))
    rows.sort(key=lambda row: row[0])
    return [f"{outcome.clock(at)}  {kind:<9} {told}" for at, kind, told in rows]


def study_text(study: Study) -> str:
    """Rates and delays with their 95 % intervals."""
    low, high = study.false_rollback_interval
    ends = ", ".join(f"{count} × {end}" for end, count in study.ends.items())
    lines = [
        f"{study.scenario}, {study.runs} runs by {study.by}: {ends}",
        f"false rollbacks: {study.false_rollbacks} of {study.runs} = "
        f"{study.false_rollback_rate:.1%} (95 %: {low:.1%} to {high:.1%})",
    ]
    for name, share in (("median", 0.5), ("p90", 0.9)):
        delay, interval = study.delay(share), study.delay_interval(share)
        if delay is not None and interval is not None:
            between = " to ".join(format_duration(one) for one in interval)
            lines.append(f"detection delay, {name}: {format_duration(delay)} (95 %: {between})")
    return "\n".join(lines)


def document(
    plan: str, outcomes: Sequence[Outcome], studies: Sequence[Study], wrong: Sequence[str]
) -> dict[str, Any]:
    """All of it for scripts; delays in seconds."""
    return {
        "plan": plan,
        "rehearsals": [_one(outcome) for outcome in outcomes],
        "studies": [_study(study) for study in studies],
        "not_as_wanted": list(wrong),
    }


def _one(outcome: Outcome) -> dict[str, Any]:
    delay = outcome.delay.total_seconds() if outcome.delay is not None else None
    more = {"delay_seconds": delay, "took_seconds": outcome.took.total_seconds()}
    return {**outcome.model_dump(mode="json", exclude={"delay", "took"}), **more}


def _study(study: Study) -> dict[str, Any]:
    names = {f"p{round(share * 100)}": share for share in (0.5, 0.9)}
    quantiles = {name: study.delay(share) for name, share in names.items()}
    intervals = {name: study.delay_interval(share) for name, share in names.items()}
    return {
        **study.model_dump(mode="json", exclude={"delays"}),
        "false_rollback_rate": study.false_rollback_rate,
        "false_rollback_interval": study.false_rollback_interval,
        "delay_seconds": {k: v.total_seconds() for k, v in quantiles.items() if v is not None},
        "delay_interval_seconds": {
            name: [one.total_seconds() for one in between]
            for name, between in intervals.items()
            if between is not None
        },
    }
