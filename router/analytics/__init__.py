"""The decision log in Postgres: what was decided, how long it took, what came of it."""

from router.analytics.decision_log import DecisionLog, DecisionRow, OutcomeRow
from router.analytics.phase_latency import PhaseLatency, fetch_latency_breakdown

__all__ = ["DecisionLog", "DecisionRow", "OutcomeRow", "PhaseLatency", "fetch_latency_breakdown"]
