"""The parts of a dashboard: panels, their PromQL, and Grafana's JSON."""

from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 41  # Grafana 11.6
WIDTH, HEIGHT, PANELS_PER_ROW = 12, 8, 2
WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph of one or more (legend, PromQL) pairs; `limit` draws a red line where the guide has one."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    limit: float | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]


def rate(metric: str, by: str = "", match: str = "") -> str:
    """Per-second rate of a counter, summed over router processes."""
    grouping = f" by ({by})" if by else ""
    selector = f"{{{match}}}" if match else ""
    return f"sum{grouping} (rate({metric}{selector}[{WINDOW}]))"


def increase(counter: str, by: str) -> str:
    """By how much a counter grew in the last hour, summed over router processes."""
    return f"sum by ({by}) (increase({counter}[1h]))"


def ratio(metric: str, match: str, by: str = "", of: str = "") -> str:
    """Return PromQL of the share of `match` among `of` (default: all)."""
    return f"{rate(metric, by, match)} / {rate(metric, by, of)}"


def quantile(q: float, histogram: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', labels)})"


def latency_panel(title: str, q: float, limit: float | None = None) -> Panel:
    by_cohort = quantile(q, "router_query_duration_seconds", "cohort")
    return Panel(title, "s", (("{{cohort}}", by_cohort),), limit)


def panel_json(number: int, panel: Panel) -> dict[str, Any]:
    column, row = number % PANELS_PER_ROW, number // PANELS_PER_ROW
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": row * HEIGHT},
        "fieldConfig": {"defaults": defaults_json(panel), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend}
            for i, (legend, query) in enumerate(panel.queries)
        ],
    }


def defaults_json(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return defaults


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["sluice"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "5s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": [panel_json(i, panel) for i, panel in enumerate(dashboard.panels)],
    }
