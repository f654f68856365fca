"""The output of ``sluice rehearse``: text and JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from sluice.cli.views.forecast import CHANCE_SHOWN_MIN, format_chance
from sluice.rehearsal.results.monte_carlo import MonteCarloSummary, wilson_interval
from sluice.rehearsal.results.result import RehearsalResult
from sluice.rollout.plan.forecast.forecast import StepForecast, false_action_chance
from sluice.rollout.units import format_duration


def rehearsal_text(outcome: RehearsalResult, title: str) -> str:
    """Return the timeline, the trigger, the delay and the exposure."""
    lines = [f"{outcome.scenario} (seed {outcome.seed}): {title}", *_timeline(outcome), ""]
    step_text = f" in {outcome.step}" if outcome.step and outcome.ending != "Healthy" else ""
    lines.append(
        f"{outcome.ending}{step_text} after {format_duration(outcome.duration)}, by {outcome.runner}"
    )
    if outcome.trigger is not None:
        names = ", ".join(outcome.trigger.names) or outcome.trigger.kind
        lines.append(f"fired: {names}: {outcome.trigger.reason}")
    if outcome.fault_at is not None:
        late = (
            format_duration(outcome.detection_delay)
            if outcome.detection_delay is not None
            else "never rolled back"
        )
        lines.append(
            f"detection delay: {late}; meanwhile the treatment answered {outcome.queries:,} queries, "
            f"{outcome.errors:,} of them failed; {outcome.users:,} users in the busiest hour"
        )
    return "\n".join(lines)


def _timeline(outcome: RehearsalResult) -> list[str]:
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
    return [f"{outcome.format_time(at)}  {kind:<9} {text}" for at, kind, text in rows]


def monte_carlo_text(summary: MonteCarloSummary) -> str:
    """Return rates and delays with their 95 % intervals."""
    low, high = summary.false_rollback_interval
    ends = ", ".join(f"{count} × {end}" for end, count in summary.endings.items())
    lines = [
        f"{summary.scenario}, {summary.runs} runs by {summary.runner}: {ends}",
        f"false rollbacks: {summary.false_rollbacks} of {summary.runs} = "
        f"{summary.false_rollback_rate:.1%} (95 %: {low:.1%} to {high:.1%})",
    ]
    for name, share in (("median", 0.5), ("p90", 0.9)):
        delay, interval = summary.delay_quantile(share), summary.delay_interval(share)
        if delay is not None and interval is not None:
            between = " to ".join(format_duration(bound) for bound in interval)
            lines.append(f"detection delay, {name}: {format_duration(delay)} (95 %: {between})")
    return "\n".join(lines)


def comparison_lines(steps: Sequence[StepForecast], summary: MonteCarloSummary) -> Iterator[str]:
    """Yield a Markdown table: the forecast of each first false action beside that of healthy runs."""
    counts = dict(summary.first_actions)
    yield "| first false action | forecast | rehearsals | 95 % interval |"
    yield "|---|---|---|---|"
    reached = 1.0
    for step in steps:
        for gate in step.gates:
            key = f"{step.step}/{gate.gate}"
            acts = gate.decides and not gate.is_bound
            chance = reached * (gate.false_action or 0) if acts else 0.0
            if chance >= CHANCE_SHOWN_MIN or key in counts:
                yield _comparison_row(key, chance, counts.pop(key, 0), summary.runs)
        reached *= 1 - step.false_action
    for key, count in counts.items():
        yield _comparison_row(key, 0.0, count, summary.runs)
    stopped = sum(summary.first_actions.values())
    yield _comparison_row("any", false_action_chance(steps), stopped, summary.runs)


def _comparison_row(name: str, chance: float, count: int, runs: int) -> str:
    low, high = wilson_interval(count, runs)
    return f"| {name} | {format_chance(chance)} | {count} of {runs} | {low:.1%} to {high:.1%} |"


def rehearsals_document(
    plan: str,
    outcomes: Sequence[RehearsalResult],
    summaries: Sequence[MonteCarloSummary],
    violations: Sequence[str],
) -> dict[str, Any]:
    """Return the rehearsals as JSON values; delays in seconds."""
    return {
        "plan": plan,
        "rehearsals": [_result_document(outcome) for outcome in outcomes],
        "summaries": [_summary_document(study) for study in summaries],
        "violations": list(violations),
    }


def _result_document(outcome: RehearsalResult) -> dict[str, Any]:
    delay = outcome.detection_delay.total_seconds() if outcome.detection_delay is not None else None
    durations = {
        "detection_delay_seconds": delay,
        "duration_seconds": outcome.duration.total_seconds(),
    }
    return {**outcome.model_dump(mode="json", exclude={"detection_delay", "duration"}), **durations}


def _summary_document(study: MonteCarloSummary) -> dict[str, Any]:
    names = {f"p{round(share * 100)}": share for share in (0.5, 0.9)}
    quantiles = {name: study.delay_quantile(share) for name, share in names.items()}
    intervals = {name: study.delay_interval(share) for name, share in names.items()}
    return {
        **study.model_dump(mode="json", exclude={"detection_delays"}),
        "false_rollback_rate": study.false_rollback_rate,
        "false_rollback_interval": study.false_rollback_interval,
        "detection_delay_seconds": {
            k: v.total_seconds() for k, v in quantiles.items() if v is not None
        },
        "detection_delay_interval_seconds": {
            name: [bound.total_seconds() for bound in between]
            for name, between in intervals.items()
            if between is not None
        },
    }
