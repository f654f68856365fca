"""The kind of a service's signal and its healthy value follow from what its plan says."""

import pytest

from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.signal_inference import InferredSignal, infer_signal

RATE = {"test": "rate", "events": "e", "units": "n"}
TAIL = {"test": "latency_tail", "buckets": "b", "edges": [0.5]}
MEAN = {"test": "mean", "units": "n", "total": "s", "squares": "q", "higher_is_better": False}


def gate(**fields: object) -> Gate:
    return Gate.model_validate({"name": "g", "metric": "m", "window": "5m", **fields})


def signal(metric: dict[str, object], *gates: Gate, name: str = "m") -> InferredSignal:
    fields = {"query": "x", "unit": "count", **metric}
    return infer_signal(name, Metric.model_validate(fields), gates)


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ({"unit": "ratio", "statistic": RATE}, SignalKind.ERROR_RATE),
        ({"unit": "seconds", "statistic": TAIL}, SignalKind.LATENCY),
        ({"unit": "seconds", "statistic": MEAN}, SignalKind.LATENCY),
        ({"unit": "score", "statistic": {**MEAN, "higher_is_better": True}}, SignalKind.REWARD),
        ({"query": 'min(up{job="shop"})'}, SignalKind.UP),
        ({"query": "max(jobs_backlog)"}, SignalKind.QUEUE),
        ({"query": "sum(increase(complaints_total[5m]))"}, SignalKind.COMPLAINTS),
        ({"query": "sum(rate(retries_total[5m]))"}, SignalKind.DEPENDENCY_ERRORS),
        ({"query": "max(open_files)"}, SignalKind.GAUGE),
        ({"unit": "bytes"}, SignalKind.MEMORY),
        ({"statistic": {"test": "sample_ratio", "users": "u"}}, SignalKind.USERS),
    ],
)
def test_the_kind_follows_from_statistic_query_and_unit(
    metric: dict[str, object], kind: SignalKind
) -> None:
    assert signal(metric).kind is kind


@pytest.mark.parametrize(
    ("threshold", "kind", "typical"),
    [("99%", SignalKind.SUCCESS_RATE, 0.997), ("50%", SignalKind.HIT_RATE, 0.55)],
)
def test_a_ratio_that_must_stay_high_counts_successes_or_hits(
    threshold: str, kind: SignalKind, typical: float
) -> None:
    inferred = signal({"unit": "ratio"}, gate(threshold=threshold, direction="above"))
    assert inferred.kind is kind
    assert inferred.typical == pytest.approx(typical)


def test_a_time_that_must_arrive_is_a_heartbeat() -> None:
    assert (
        signal({"unit": "seconds"}, gate(kind="presence", threshold=0)).kind is SignalKind.HEARTBEAT
    )


@pytest.mark.parametrize(
    ("name", "query", "quantile"),
    [
        ("m", "histogram_quantile(0.95, sum by (le) (rate(s_bucket[5m])))", 0.95),
        ("m", 's{quantile="0.5"}', 0.5),
        ("checkout_p99", "checkout_slowest", 0.99),
        ("checkout", "avg(s)", None),
    ],
)
def test_a_latency_is_the_quantile_that_its_query_or_its_name_says(
    name: str, query: str, quantile: float | None
) -> None:
    assert signal({"query": query, "unit": "seconds"}, name=name).quantile == quantile


def test_without_a_fixed_limit_no_value_is_typical() -> None:
    assert signal({"unit": "seconds"}, gate(kind="control", threshold="+10%")).typical is None
