"""The forecast of a healthy rollout as text and JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from sluice.rollout.plan.forecast.forecast import GateForecast, StepForecast, false_action_chance

CHANCE_SHOWN_MIN = 0.0005


def forecast_lines(steps: Sequence[StepForecast]) -> Iterator[str]:
    """Yield a line for each step, and one for each rule of it whose chances say something."""
    for step in steps:
        yield (
            f"{step.step}: false action {format_chance(step.false_action)} by fixed thresholds, "
            f"at most {format_chance(step.alpha)} by statistical gates; ends by its deadline {step.verdict:.1%}"
        )
        yield from (f"  {_gate_text(gate)}" for gate in step.gates if _is_shown(gate))
    yield f"the whole plan: false action {format_chance(false_action_chance(steps))} by fixed thresholds"
    if names := _unknown_rules(steps):
        yield f"without {', '.join(names)}: the traffic does not say how they vary by chance"


def _unknown_rules(steps: Sequence[StepForecast]) -> list[str]:
    """Return the rules that act and have no chance, so that no figure includes them."""
    unknown = [gate for step in steps for gate in step.gates if gate.false_action is None]
    return sorted({gate.gate for gate in unknown if gate.decides})


def _is_shown(gate: GateForecast) -> bool:
    return (gate.false_action or 0) >= CHANCE_SHOWN_MIN or (
        gate.verdict or 1
    ) < 1 - CHANCE_SHOWN_MIN


def _gate_text(gate: GateForecast) -> str:
    most = "at most " if gate.is_bound else ""
    chance = "unknown" if gate.false_action is None else f"{most}{format_chance(gate.false_action)}"
    verdict = "" if gate.verdict is None else f", passes by the deadline {gate.verdict:.1%}"
    silent = "" if gate.decides else " (decides nothing)"
    return f"{gate.gate}: false action {chance}{verdict}{silent}"


def format_chance(share: float) -> str:
    """Return a chance in per cent; a tiny one as a bound."""
    return f"{share:.2%}" if share >= CHANCE_SHOWN_MIN / 10 or not share else "below 0.01%"


def forecast_document(steps: Sequence[StepForecast]) -> list[dict[str, Any]]:
    """Return the forecast as JSON values; chances from 0 to 1."""
    return [step.model_dump(mode="json") for step in steps]
