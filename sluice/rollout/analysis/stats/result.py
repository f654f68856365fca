"""The result of a test, in numbers and in one sentence."""

import math

from sluice.rollout.analysis.gate import Model

WHOLE_FROM = 10
PRINTED_MAX_LOG = 27.6
"""Logarithm of about 10^12: nobody reads more digits of evidence."""


class SequentialResult(Model):
    """``rejected``: at some look the e-value exceeded 1/α. Log e-values are natural logarithms."""

    claim: str
    log_e: float
    log_e_peak: float
    alpha: float
    rejected: bool
    reason: str


def judge_evidence(
    claim: str, facts: str, evidence: tuple[float, float], alpha: float
) -> SequentialResult:
    """Judge the evidence (log e-value now, its peak) at ``alpha`` and say so in one sentence.

    Raises:
        ValueError: when alpha is not between 0 and 1, or the evidence is not a number.
    """
    log_e, log_e_peak = evidence
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    if math.isnan(log_e) or math.isnan(log_e_peak):
        raise ValueError("the evidence is not a number; measure again")
    rejected = log_e_peak >= -math.log(alpha)
    e_value_text = format_e_value(log_e_peak if rejected else log_e)
    side, end = ("≥", claim) if rejected else ("<", f"not {claim}")
    reason = f"{facts}, e-value {e_value_text} {side} {1 / alpha:,.0f}: {end} at α = {alpha:g}"
    return SequentialResult(
        claim=claim,
        log_e=log_e,
        log_e_peak=log_e_peak,
        alpha=alpha,
        rejected=rejected,
        reason=reason,
    )


def format_e_value(log_e: float) -> str:
    """Return an e-value as people read it: ``0.03``, ``310``, ``12,400``, ``over 10^12``."""
    if log_e > PRINTED_MAX_LOG:
        return "over 10^12"
    value = math.exp(log_e)
    return f"{value:,.0f}" if value >= WHOLE_FROM else f"{value:.2g}"


def format_estimated_count(value: float) -> str:
    """Return a count; Prometheus extrapolates, so it need not be whole."""
    return f"{value:,.0f}"


def compare_means(
    name: str,
    treatment: tuple[float, float],
    control: tuple[float, float],
    difference: tuple[float, float],
) -> str:
    """Return both cohorts' (mean, units) and the interval of their difference as a phrase."""
    (t_mean, t_units), (c_mean, c_units), (low, high) = treatment, control, difference
    return (
        f"{name} {t_mean:.3f} (treatment, {format_estimated_count(t_units)}) against {c_mean:.3f} "
        f"(control, {format_estimated_count(c_units)}), difference {low:+.3f} to {high:+.3f}"
    )


def format_rate(events: float, units: float) -> str:
    return f"{events / units:.2%}" if units else "unknown"
