"""docs/metrics.md names exactly the metrics that a router exports, with type and labels."""

import re
from pathlib import Path

from router.observability.metrics import RouterMetrics

ROOT = Path(__file__).parents[2]
Row = tuple[str, frozenset[str]]


def exported() -> dict[str, Row]:
    """Name as Prometheus shows it → type and labels."""
    metrics = RouterMetrics().registry
    labels = {
        name: frozenset(getattr(collector, "_labelnames", ()))
        for collector, names in metrics._collector_to_names.items()
        for name in names
    }
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            labels[family.name],
        )
        for family in metrics.collect()
        if family.name.startswith("router_")
    }


def documented() -> dict[str, Row]:
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(router_\w+)` \| (\w+) \| ([^|]+) \|", text, re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_each_metric_is_documented_with_its_type_and_labels() -> None:
    assert documented() == exported()
