"""A first plan for a service: error rate and latency from 0 % to everyone, valid as it is."""

import json
import math
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from string import Template

from sluice.rollout.units import format_whole_seconds

SCHEMA_URL = "plan.schema.json"
LONG_HOLD = timedelta(minutes=10)
"""Below this a plan is a trial: it watches each second, and rests on fewer samples."""
FIRST_SHARE = 0.05
QUIET_SHARE, TRIAL_SHARE = 0.35, 0.6
"""Traffic of the quiet hours, and of a trial's quiet seconds, as a part of the present one."""
WINDOW_MAX, RED_WINDOW_MAX = timedelta(days=2), timedelta(hours=6)
SECONDS_PER_DAY = 86_400


class PlanTemplate(Template):
    """A template with ``@name``: ``$cohort`` and ``$window`` are the plan's own."""

    delimiter = "@"


ROUTER_COHORTS = ("cohort", "treatment", "control")


@dataclass(frozen=True)
class MetricSource:
    """Selectors of a service's metrics, without braces; ``labels`` go into each.

    ``cohorts`` holds the cohorts' label, and its values for treatment and control.
    """

    requests: str = "sluice_requests_total"
    failures: str = 'outcome="error"'
    latency: str = "sluice_request_duration_seconds"
    cohorts: tuple[str, str, str] = ROUTER_COHORTS
    labels: str = ""

    def selector(self, metric: str, *matchers: str) -> str:
        """Return the metric with its matchers, the cohort's among them."""
        parts = (self.labels, f'{self.cohorts[0]}=~"$cohort"', *matchers)
        return f"{metric}{{{','.join(filter(None, parts))}}}"


@dataclass(frozen=True)
class StarterPlan:
    """The choices of a first plan. ``error_rate`` is a share, ``latency`` in seconds.

    ``rate`` is the service's requests a second: windows are long enough for 5 % of them. None where
    it is not known.
    """

    flag: str
    job: str
    source: MetricSource
    environment: str = "default"
    hold: timedelta = timedelta(days=1)
    error_rate: float = 0.01
    latency: float = 1.0
    rate: float | None = None

    @property
    def is_trial(self) -> bool:
        """True for a hold of minutes."""
        return self.hold < LONG_HOLD

    def render(self) -> str:
        """Return the plan as YAML."""
        text = files("sluice.cli").joinpath("starter_plan.yaml").read_text("utf-8")
        values = self._times() | self._limits()
        return PlanTemplate(text).substitute(values | self._texts(values["window"]))

    def _texts(self, window: str) -> dict[str, str]:
        source = self.source
        requests = source.selector(source.requests)
        failures = source.selector(source.requests, source.failures)
        return {
            "schema": SCHEMA_URL,
            "flag": self.flag,
            "description": json.dumps(f"Gradual rollout of {self.flag}"),
            "environment": json.dumps(self.environment),
            "cohorts": _cohorts(source.cohorts),
            "job": json.dumps(self.job),
            "traffic": self._traffic(),
            "requests": requests,
            "failures": failures,
            "buckets": source.selector(f"{source.latency}_bucket"),
            **self._statistics(window),
        }

    def _statistics(self, window: str) -> dict[str, str]:
        """Return the lines of a statistical gate, or none: only SluiceMiddleware counts users."""
        is_middleware = self.source.requests == MetricSource.requests
        return _user_statistic(self.source, window) if is_middleware else NO_STATISTIC

    def _traffic(self) -> str:
        """Return the plan's line for its traffic, or none."""
        if not self.rate:
            return ""
        per_day = max(1, round(self.rate * SECONDS_PER_DAY))
        return f"\ntraffic: {{queries_per_day: {per_day}, error_rate: {self.error_rate / 2:g}}}"

    def _window_for(self, samples: str, least: timedelta, most: timedelta) -> timedelta:
        """Return a window in which 5 % of the traffic has so many samples, also in quiet hours."""
        if not self.rate:
            return least
        quiet = self.rate * FIRST_SHARE * (TRIAL_SHARE if self.is_trial else QUIET_SHARE)
        seconds = min(int(samples) / quiet, most.total_seconds())
        step = 5 if seconds < 60 else 60  # noqa: PLR2004
        return max(least, timedelta(seconds=step * math.ceil(seconds / step)))

    def _times(self) -> dict[str, str]:
        hold, is_trial = self.hold, self.is_trial
        interval = _clamp(hold / 24, timedelta(seconds=1), timedelta(hours=1))
        least = _clamp(hold / 4, timedelta(seconds=10), timedelta(hours=1))
        red_least = _clamp(least, timedelta(seconds=10), timedelta(minutes=5))
        slow_least = _clamp(least, timedelta(seconds=10), timedelta(minutes=15))
        limits = self._limits()
        window = self._window_for(limits["samples"], least, WINDOW_MAX)
        times = {
            "watch_interval": timedelta(seconds=1 if is_trial else 2),
            "stale_after": timedelta(seconds=15 if is_trial else 120),
            "retry_every": timedelta(seconds=2 if is_trial else 60),
            "interval": interval,
            "window": window,
            "red_window": self._window_for(limits["red_samples"], red_least, RED_WINDOW_MAX),
            "slow_window": self._window_for(limits["slow_samples"], slow_least, RED_WINDOW_MAX),
            "hold": max(hold, window),
            "dark_hold": window,
            "stable_for": 2 * interval,
            "deadline": 3 * max(hold, window),
        }
        return {name: format_whole_seconds(value) for name, value in times.items()}

    def _limits(self) -> dict[str, str]:
        """Return thresholds and counts.

        One failure of ten requests is chance, and the p99 of fifty is the slowest of them.
        """
        is_trial = self.is_trial
        return {
            "error_rate": f"{self.error_rate * 100:g}%",
            "error_spike": f"{min(5 * self.error_rate, 0.5) * 100:g}%",
            "latency": f"{self.latency:g}",
            "latency_floor": f"{self.latency / 2:g}",
            "latency_spike": f"{2 * self.latency:g}",
            "samples": "10" if is_trial else "100",
            "red_samples": "10" if is_trial else "50",
            "slow_samples": "10" if is_trial else "400",
            "min_events": "3" if is_trial else "5",
            "consecutive": "3" if is_trial else "2",
        }


def _cohorts(names: tuple[str, str, str]) -> str:
    """Return the plan's line for cohorts with a label of the team's own, or none."""
    if names == ROUTER_COHORTS:
        return ""
    label, treatment, control = (json.dumps(name) for name in names)
    return f"\ncohorts: {{label: {label}, treatment: {treatment}, control: {control}}}"


NO_STATISTIC = {"users_failed": "", "evidence": ""}
FAILURES_COUNTED = ("1", "2", "4", "8")
"""The failures of a user at which the user counts, as SluiceMiddleware labels them."""


def _user_statistic(source: MetricSource, window: str) -> dict[str, str]:
    """Return the metric of both cohorts' users at their failures, and its gate at the plan's alpha.

    It counts users, so one that sends many failing requests rolls nothing back.
    """

    def select(metric: str, nth: str) -> str:
        return source.selector(metric, 'since="step"', f'nth="{nth}"')

    users, at_risk = "sluice_users_failed_total", "sluice_users_failed_at_risk_total"
    gate = f"{{name: error_evidence, metric: users_failed, kind: statistical, window: {window}}}"
    return {
        "users_failed": (
            "\n  users_failed:"
            f"\n    query: sum(increase({select(users, '1')}[$window]))"
            "\n    unit: count"
            "\n    statistic:"
            "\n      test: user_hazards"
            f"\n      users: {select(users, '$stratum')}"
            f"\n      at_risk: {select(at_risk, '$stratum')}"
            f"\n      strata: {json.dumps(FAILURES_COUNTED)}"
            "\n      weights: [16, 2, 1, 1]"
            f"\n      counted_since: sluice_users_counted_since_timestamp_seconds{{{source.labels}}}"
        ),
        "evidence": f"\n      - {gate}",
    }


def _clamp(value: timedelta, minimum: timedelta, maximum: timedelta) -> timedelta:
    return max(minimum, min(value, maximum))
