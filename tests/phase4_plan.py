"""The guide's plan with its quiet steps shortened: the rehearsals of CI have no minutes to give.

Metrics, gates, red flags and thresholds are those of plans/phase4.yaml.
"""

from datetime import timedelta
from pathlib import Path

from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import RolloutPlan, Step

PHASE4 = load_plan(Path(__file__).parents[1] / "plans" / "phase4.yaml")
HOUR = timedelta(hours=1)


def phase4_shortened(full_length_step: str) -> RolloutPlan:
    """Every step but ``keep`` lasts three hours."""
    steps = tuple(
        step if step.name == full_length_step else _shortened_step(step) for step in PHASE4.steps
    )
    return PHASE4.model_copy(update={"steps": steps})


def _shortened_step(step: Step) -> Step:
    times = {"interval": HOUR, "hold": 3 * HOUR, "stable_for": HOUR, "deadline": 24 * HOUR}
    return step.model_copy(update=times)
