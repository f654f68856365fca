"""Generators of random plans, readings and commands, from one seeded generator."""

from datetime import timedelta
from random import Random
from typing import Any

from sluice.rollout.analysis.reading import Reading
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import RolloutPlan

RAMPS = (1, 5, 10, 25, 50, 75, 100)
METRICS = {
    "errors": {"query": "errors $cohort", "samples": "queries $cohort", "unit": "ratio"},
    "reward": {"query": "reward $cohort", "samples": "queries $cohort", "unit": "score"},
    "queue": {"query": "queue", "unit": "count"},
}
HEALTHY_VALUES = {"errors": 0.002, "reward": 0.8, "queue": 5.0}
HEALTH_STATES: dict[str, dict[str, Any]] = {
    "well": {},
    "failing": {"errors": 0.03},
    "burning, P0": {"errors": 0.3},
    "burning, P1": {"reward": 0.1},
    "burning, P2": {"queue": 900.0},
    "all of it": {"errors": 0.3, "reward": 0.1, "queue": 900.0},
    "no data": {"errors": None, "reward": None, "queue": None},
    "NaN": {"errors": float("nan"), "reward": float("nan"), "queue": float("nan")},
    "stale": {"stale": True},
    "few samples": {"samples": 1.0},
    "can't be measured": {"error": "Prometheus does not answer"},
}
"""Reading fields by the health of the simulated system."""


def chance(rng: Random, share: float) -> bool:
    """Return True with this probability."""
    return rng.random() < share


def random_plan(rng: Random) -> RolloutPlan:
    """Generate a plan of two to seven steps, with every kind of precondition and gate."""
    steps: list[dict[str, Any]] = []
    if chance(rng, 0.5):
        steps.append(_random_step(rng, "baseline", 1, record_baseline=True, percentage=None))
    learning = {"enable_feature_flags": True, "enable_online_learning": True}
    dark = _random_step(rng, "dark", 3, percentage=0)
    steps.append(dark | ({"phases": learning} if chance(rng, 0.5) else {}))
    for share in sorted(rng.sample(RAMPS, rng.randint(1, 4))):
        back = rng.choice([step["name"] for step in steps])
        step = _random_step(rng, f"ramp-{share}", 4, percentage=share, rollback_to=back)
        steps.append(step | _random_red_flags(rng) | _random_preconditions(rng))
    if chance(rng, 0.3):
        back = steps[-1]["name"]
        last = _random_step(rng, "cleanup", 5, percentage=None, delete_flag=True, rollback_to=back)
        steps.append(last | _random_red_flags(rng))
    return RolloutPlan.model_validate(
        {
            "name": "drawn",
            "flag": "drawn",
            "watch_interval": "5m",
            "metrics": METRICS,
            "baselines": [_gate_fields("errors", 0, cohort="control")],
            "escalation": {"p1_rolls_back_after": "1h", "p2_reminds_after": "2h"},
            "rollbacks": {
                "graceful": {"percentages": [50, 25, 0], "watch": "30m"},
                "code": {"commit": "69cdd35"} if chance(rng, 0.5) else None,
            },
            "steps": steps,
        }
    )


def _random_step(rng: Random, name: str, stage: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    interval, checks = rng.randint(5, 40), rng.randint(1, 4)
    hold = interval * checks
    gates = [_gate_fields("errors", 0.01, consecutive=rng.randint(1, 2))]
    if chance(rng, 0.6):
        gates.append(_gate_fields("reward", 0.5, direction="above"))
    return {
        "name": name,
        "title": name.capitalize(),
        "stage": stage,
        "interval": f"{interval}m",
        "hold": f"{hold}m",
        "stable_for": f"{rng.randint(0, hold)}m",
        "deadline": f"{hold + interval * rng.randint(1, 6)}m",
        "gates": gates,
        **more,
    }


def _gate_fields(metric: str, threshold: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    counted = {"min_samples": 10} if metric != "queue" else {}
    return {"metric": metric, "threshold": threshold, "window": "5m", **counted, **more}


def _random_red_flags(rng: Random) -> dict[str, Any]:
    flags = [_gate_fields("errors", 0.05, name="spike", consecutive=rng.randint(1, 3))]
    if chance(rng, 0.7):
        flags.append(_gate_fields("reward", 0.3, name="unhappy", direction="above", severity="P1"))
    if chance(rng, 0.7):
        severity = rng.choice(["P2", "P3"])
        flags.append(_gate_fields("queue", 500, name="queue", cohort="all", severity=severity))
    return {"red_flags": flags}


def _random_preconditions(rng: Random) -> dict[str, Any]:
    preconditions: dict[str, Any] = {}
    if chance(rng, 0.5):
        preconditions["approval"] = {
            "required_approvals": rng.randint(1, 2),
            "expires_after": rng.choice([None, "3h"]),
            "on_expiry": rng.choice(["hold", "abort"]),
        }
    if chance(rng, 0.3):
        preconditions["checklist"] = [{"name": "trained", "title": "Team trained"}]
    if chance(rng, 0.3):
        preconditions["whitelist"] = ["user_alice"]
    return preconditions


def simulate_reading(health: str, reading: Reading) -> Reading:
    """Generate a reading of the metric for a system of this health."""
    fields = HEALTH_STATES[health]
    if "error" in fields:
        return reading.model_copy(update={"error": fields["error"]})
    value = fields.get(reading.metric, HEALTHY_VALUES[reading.metric])
    samples = None if reading.metric == "queue" else fields.get("samples", 1000.0)
    stale = fields.get("stale", False)
    return reading.model_copy(update={"value": value, "samples": samples, "stale": stale})


ACTORS = ("alice", "bob", "carol")


USUAL_VERBS = {
    "Progressing": [Verb.APPROVE] * 6 + [Verb.ATTEST] * 4 + [Verb.PROMOTE, Verb.PAUSE],
    "Paused": [Verb.RESUME] * 4 + [Verb.ACKNOWLEDGE],
    "Degraded": [Verb.RETRY] * 6,
}


def random_command(rng: Random, state: State) -> tuple[Verb, Command]:
    """Generate a person's command, mostly a fitting one, on the current readings."""
    usual_verbs = USUAL_VERBS.get(state.status, [])
    verb = rng.choice(usual_verbs if usual_verbs and chance(rng, 0.8) else list(Verb))
    latest_id = state.checks.latest.id if state.checks.latest else ""
    arguments: dict[str, object] = {}
    if verb is Verb.APPROVE:
        arguments["evidence"] = latest_id if chance(rng, 0.9) else rng.choice(["", "old/1"])
    elif verb is Verb.ATTEST:
        arguments["item"] = "trained"
    elif verb is Verb.ACKNOWLEDGE:
        arguments["item"] = rng.choice([*state.red_flags.raised, "unknown"])
        arguments["duration"] = timedelta(hours=rng.choice([1, 6, 48]))
    elif verb is Verb.ROLLBACK:
        arguments = rng.choice(
            [{}, {"emergency": True}, {"graceful": True}, {"code": True, "confirmed": True}]
        )
    return verb, Command.model_validate(
        {"actor": rng.choice(ACTORS), "reason": "drawn", **arguments}
    )
