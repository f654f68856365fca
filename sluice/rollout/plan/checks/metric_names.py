"""Names in a plan's PromQL that no router exports: a gate on one would never have data."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from sluice.rollout.analysis.gate import Metric
from sluice.rollout.analysis.promql import Selector, parse_selectors
from sluice.rollout.plan.metric_catalog import HISTOGRAM_SUFFIX, ROUTER_SERIES, SCRAPE_LABELS
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import Problem

ROUTER_PREFIX = "router_"
_ROUTER_NAME = re.compile(rf"\b{ROUTER_PREFIX}\w+")


def check_metric_names(plan: RolloutPlan) -> Iterator[Problem]:
    """Unknown metrics that begin with ``router_``, and labels that known ones do not have.

    Metrics of other exporters are left alone: nothing is known of them. A plan without any series of
    Sluice's router is another service's, which may call its own metrics ``router_…``.
    """
    if not any(names_router_series(metric.query) for metric in plan.metrics.values()):
        return
    for name, metric in plan.metrics.items():
        for field, template in _templates(metric):
            text = template.replace("$cohort", "treatment").replace("$window", "5m")
            try:
                selectors = parse_selectors(text.replace("$le", "1")).selectors
            except ValueError:
                continue  # Prometheus says so, or the check of statistics does
            for selector in selectors:
                if problem := _selector_problem(selector):
                    yield ("metrics", name, *field), problem


def names_router_series(query: str) -> bool:
    """Return True if the query reads a series that Sluice's router exports."""
    return any(name in ROUTER_SERIES for name in _ROUTER_NAME.findall(query))


def _templates(metric: Metric) -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("query",), metric.query
    if metric.samples:
        yield ("samples",), metric.samples
    for field, value in metric.statistic or ():
        if isinstance(value, str) and field != "test":
            yield ("statistic", field), value


def _selector_problem(selector: Selector) -> str:
    name = selector.metric
    if name not in ROUTER_SERIES:
        if not name.startswith(ROUTER_PREFIX):
            return ""
        return f"no router exports {name!r}{_suggestion(name, tuple(ROUTER_SERIES))}"
    known_labels = {*ROUTER_SERIES[name], *SCRAPE_LABELS}
    known_labels |= {"le"} if name.endswith(HISTOGRAM_SUFFIX) else set()
    for label in sorted(selector.labels - known_labels):
        return f"{name} has no label {label!r}{_suggestion(label, tuple(known_labels))}"
    return ""


def _suggestion(wrong: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(wrong, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
