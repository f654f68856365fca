"""The decision log in Postgres: each decision, its times and its outcome."""

from router.analytics.decision_log import DecisionLog, DecisionRow, OutcomeRow
from router.analytics.phase_latency import PhaseLatency, fetch_latency_breakdown

__all__ = ["DecisionLog", "DecisionRow", "OutcomeRow", "PhaseLatency", "fetch_latency_breakdown"]
