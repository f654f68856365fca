"""Names in a plan's PromQL that no router exports: a gate on one would never have data."""

from collections.abc import Iterator
from difflib import get_close_matches

from rollout.gate import Metric
from rollout.plan import RolloutPlan
from rollout.promql import Selector, names
from rollout.registry import OF_A_HISTOGRAM, OF_THE_SCRAPE, ROUTER_SERIES
from rollout.strict_yaml import Found

OURS = "router_"


def cross_check_names(plan: RolloutPlan) -> Iterator[Found]:
    """Unknown metrics that begin with ``router_``, and labels that known ones do not have.

    Metrics of other exporters are left alone: nothing is known of them.
    """
    for name, metric in plan.metrics.items():
        for field, template in _templates(metric):
            text = template.replace("$cohort", "treatment").replace("$window", "5m")
            try:
                found = names(text.replace("$le", "1")).selectors
            except ValueError:
                continue  # Prometheus says so, or the check of statistics does
            for selector in found:
                if problem := _problem(selector):
                    yield ("metrics", name, *field), problem


def _templates(metric: Metric) -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("query",), metric.query
    if metric.samples:
        yield ("samples",), metric.samples
    for field, value in metric.statistic or ():
        if isinstance(value, str) and field != "test":
            yield ("statistic", field), value


def _problem(selector: Selector) -> str:
    name = selector.metric
    if name not in ROUTER_SERIES:
        if not name.startswith(OURS):
            return ""
        return f"no router exports {name!r}{_hint(name, tuple(ROUTER_SERIES))}"
    known = {*ROUTER_SERIES[name], *OF_THE_SCRAPE}
    known |= {"le"} if name.endswith(OF_A_HISTOGRAM) else set()
    for label in sorted(selector.labels - known):
        return f"{name} has no label {label!r}{_hint(label, tuple(known))}"
    return ""


def _hint(wrong: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(wrong, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
