"""The output of ``sluice rehearse``: text and JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sluice.cli.views.forecast import CHANCE_SHOWN_MIN, format_chance
from sluice.rehearsal.results.monte_carlo import MonteCarloSummary, wilson_interval
from sluice.rehearsal.results.result import RehearsalResult
from sluice.rehearsal.traffic.scenario import RehearsalEnding
from sluice.rollout.plan.forecast.forecast import StepForecast
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
    """Return rates and delays with their 95 % intervals, and the seed of each false action."""
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
    lines += [
        f"seed {action.seed}: {action.ending} in {action.step} on {action.at}: {action.reason}"
        for action in summary.false_actions
    ]
    return "\n".join(lines)


def comparison_lines(steps: Sequence[StepForecast], summary: MonteCarloSummary) -> Iterator[str]:
    """Yield a Markdown table: the forecast of each first false action beside that of healthy runs.

    ``Paused`` is a deadline that passed without a verdict. A statistical gate's chance is its part of α.
    """
    counts = Counter(action.rule for action in summary.false_actions)
    yield "| first false action | forecast | rehearsals | 95 % interval |"
    yield "|---|---|---|---|"
    reached = 1.0
    for step in steps:
        paused = max(0.0, 1 - step.verdict - step.false_action)
        for rule, chance, most in (*_false_actions(step), (RehearsalEnding.PAUSED, paused, "")):
            key = f"{step.step}/{rule}"
            is_likely = not most and reached * chance >= CHANCE_SHOWN_MIN
            if is_likely or key in counts:
                forecast = f"{most}{format_chance(reached * chance)}"
                yield _comparison_row(key, forecast, counts.pop(key, 0), summary.runs)
        reached *= 1 - step.false_action - paused
    for key, count in counts.items():
        yield _comparison_row(key, "none", count, summary.runs)
    alpha = format_chance(sum(step.alpha for step in steps))
    forecast = f"{format_chance(1 - reached)}, and at most {alpha} by statistical gates"
    yield _comparison_row("any", forecast, len(summary.false_actions), summary.runs)


def _false_actions(step: StepForecast) -> Iterator[tuple[str, float, str]]:
    """Yield each rule of the step that decides, its chance of a false action, and words before it."""
    for gate in step.gates:
        if gate.decides:
            yield gate.gate, gate.false_action or 0.0, "at most " if gate.is_bound else ""


def _comparison_row(name: str, forecast: str, count: int, runs: int) -> str:
    low, high = wilson_interval(count, runs)
    return f"| {name} | {forecast} | {count} of {runs} | {low:.1%} to {high:.1%} |"


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
