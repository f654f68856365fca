"""Dashboards and alerts are code: they must name only metrics and labels that the router has."""

import json
import re
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from router.observability.metrics import RouterMetrics
from sluice.rollout.plan.metric_catalog import WORKER_SERIES

OPS = Path(__file__).parents[3] / "ops"
PROMETHEUS = OPS / "prometheus"
DASHBOARDS = OPS / "grafana" / "dashboards"
SELECTOR = re.compile(r"\b((?:router|process|sluice|temporal)_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"by \(([^)]*)\)")
SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}
OF_THE_SCRAPE = {"le", "job", "instance"}


def exported_series() -> dict[str, frozenset[str]]:
    """Every series name of a router process with its labels."""
    metrics = RouterMetrics()
    labels = {
        name: frozenset(collector._labelnames)
        for collector, names in metrics.registry._collector_to_names.items()
        if hasattr(collector, "_labelnames")
        for name in names
    }
    return {
        family.name + suffix: labels.get(family.name, frozenset())
        for family in metrics.registry.collect()
        for suffix in series_suffixes(family)
    }


def series_suffixes(family: Metric) -> tuple[str, ...]:
    return SUFFIXES.get(family.type, ("",))


def alert_expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]


def panel_expressions() -> Iterator[tuple[str, str]]:
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{dashboard['title']}: {panel['title']}: {target['refId']}", target["expr"]


EXPRESSIONS = [
    pytest.param(expr, id=name) for name, expr in (*panel_expressions(), *alert_expressions())
]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_expressions_name_metrics_and_labels_of_the_router(expr: str) -> None:
    known = exported_series() | {name: frozenset(of) for name, of in WORKER_SERIES.items()}
    used: set[str] = set()
    for name, selector in SELECTOR.findall(expr):
        assert name in known, (
            f"{name}: no such metric in router/observability/metrics.py or sluice/rollout/plan/metric_catalog.py"
        )
        matched = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert matched <= known[name] | OF_THE_SCRAPE, name
        used |= known[name]
    for labels in GROUPING.findall(expr):
        assert {label.strip() for label in labels.split(",")} <= used | OF_THE_SCRAPE, expr


def test_dashboards_are_the_guides_four_and_the_workers() -> None:
    titles = {json.loads(path.read_text())["title"] for path in DASHBOARDS.glob("*.json")}
    assert titles == {
        "Query Router Overview",
        "Phase 4 Monitoring",
        "Database Health",
        "Feature Flags",
        "Rollout Worker",
    }


def test_every_metric_of_the_router_has_a_panel() -> None:
    drawn = {name for _, expr in panel_expressions() for name, _ in SELECTOR.findall(expr)}
    families = {
        family.name: series_suffixes(family) for family in RouterMetrics().registry.collect()
    }
    missing = [
        name
        for name, endings in families.items()
        if name.startswith("router_") and not drawn & {name + ending for ending in endings}
    ]
    assert not missing


def test_dashboards_on_disk_are_what_the_script_writes() -> None:
    script = runpy.run_path(str(OPS / "grafana" / "dashboard_definitions.py"))
    for path, text in script["dashboard_files"]():
        assert path.read_text() == text, (
            f"run {OPS.name}/grafana/dashboard_definitions.py: {path.name} is old"
        )


def promtool(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(  # noqa: S603  # only literal arguments
        ["/usr/bin/env", "promtool", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_every_panels_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{i}", "expr": expr.replace("$__rate_interval", "5m")}
        for i, (_, expr) in enumerate(panel_expressions())
    ]
    wrapped = {"groups": [{"name": "panels", "rules": rules}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(wrapped))
    promtool("check", "rules", "rules.yml", cwd=tmp_path)


def test_prometheus_accepts_the_configuration() -> None:
    promtool("check", "config", "prometheus.yml", cwd=PROMETHEUS)


def test_alerts_fire_on_red_flags_and_not_on_health() -> None:
    promtool("test", "rules", "rules.test.yml", cwd=PROMETHEUS)
