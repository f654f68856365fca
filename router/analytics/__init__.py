"""The decision log in Postgres: what was decided, how long it took, what came of it."""

from router.analytics.breakdown import PhaseLatency, latency_breakdown
from router.analytics.log import DecisionLog, Logged, Outcome

__all__ = ["DecisionLog", "Logged", "Outcome", "PhaseLatency", "latency_breakdown"]
