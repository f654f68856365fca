"""Plans and worlds drawn at random, all from one seeded generator."""

from random import Random
from typing import Any

from rollout.plan import RolloutPlan
from rollout.reading import Reading

RAMPS = (1, 5, 10, 25, 50, 75, 100)
METRICS = {
    "errors": {"query": "errors $cohort", "samples": "queries $cohort", "unit": "ratio"},
    "reward": {"query": "reward $cohort", "samples": "queries $cohort", "unit": "score"},
    "queue": {"query": "queue", "unit": "count"},
}
WELL = {"errors": 0.002, "reward": 0.8, "queue": 5.0}
HEALTHS: dict[str, dict[str, Any]] = {
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
"""What the world may be like, and what is then read."""


def likely(rng: Random, share: float) -> bool:
    """True in this share of draws."""
    return rng.random() < share


def drawn_plan(rng: Random) -> RolloutPlan:
    """A plan of two to seven steps, with every kind of gate keeper that a plan may have."""
    steps: list[dict[str, Any]] = []
    if likely(rng, 0.5):
        steps.append(_step(rng, "baseline", 1, record_baseline=True, percentage=None))
    steps.append(_step(rng, "dark", 3, percentage=0))
    for share in sorted(rng.sample(RAMPS, rng.randint(1, 4))):
        back = rng.choice([step["name"] for step in steps])
        step = _step(rng, f"ramp-{share}", 4, percentage=share, rollback_to=back)
        steps.append(step | _guarded(rng) | _kept(rng))
    if likely(rng, 0.3):
        back = steps[-1]["name"]
        last = _step(rng, "cleanup", 5, percentage=None, delete_flag=True, rollback_to=back)
        steps.append(last | _guarded(rng))
    return RolloutPlan.model_validate(
        {
            "name": "drawn",
            "flag": "drawn",
            "watch_interval": "5m",
            "metrics": METRICS,
            "baselines": [_gate("errors", 0, cohort="control")],
            "escalation": {"p1_rolls_back_after": "1h", "p2_reminds_after": "2h"},
            "rollbacks": {
                "graceful": {"percentages": [50, 25, 0], "watch": "30m"},
                "code": {"commit": "69cdd35"} if likely(rng, 0.5) else None,
            },
            "steps": steps,
        }
    )


def _step(rng: Random, name: str, stage: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    interval, checks = rng.randint(5, 40), rng.randint(1, 4)
    hold = interval * checks
    gates = [_gate("errors", 0.01, consecutive=rng.randint(1, 2))]
    if likely(rng, 0.6):
        gates.append(_gate("reward", 0.5, direction="above"))
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


def _gate(metric: str, threshold: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    counted = {"min_samples": 10} if metric != "queue" else {}
    return {"metric": metric, "threshold": threshold, "window": "5m", **counted, **more}


def _guarded(rng: Random) -> dict[str, Any]:
    flags = [_gate("errors", 0.05, name="spike", consecutive=rng.randint(1, 3))]
    if likely(rng, 0.7):
        flags.append(_gate("reward", 0.3, name="unhappy", direction="above", severity="P1"))
    if likely(rng, 0.7):
        severity = rng.choice(["P2", "P3"])
        flags.append(_gate("queue", 500, name="queue", cohort="all", severity=severity))
    return {"red_flags": flags}


def _kept(rng: Random) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if likely(rng, 0.5):
        kept["approval"] = {
            "approvers": rng.randint(1, 2),
            "expires_after": rng.choice([None, "3h"]),
            "on_expiry": rng.choice(["hold", "abort"]),
        }
    if likely(rng, 0.3):
        kept["checklist"] = [{"name": "trained", "title": "Team trained"}]
    if likely(rng, 0.3):
        kept["whitelist"] = ["user_alice"]
    return kept


def read(health: str, reading: Reading) -> Reading:
    """What is read of the reading's metric in a world of this health."""
    told = HEALTHS[health]
    if "error" in told:
        return reading.model_copy(update={"error": told["error"]})
    value = told.get(reading.metric, WELL[reading.metric])
    samples = None if reading.metric == "queue" else told.get("samples", 1000.0)
    stale = told.get("stale", False)
    return reading.model_copy(update={"value": value, "samples": samples, "stale": stale})
