"""A tenant above its quota or its share is refused; the others are not."""

from collections import Counter

import pytest

from router.errors import Overloaded, QuotaExceeded
from router.observability.metrics import RouterMetrics
from router.overload.admission import AdmissionControl, AdmissionLimits
from router.overload.event_loop_lag import SHED_SECONDS, TICKS
from router.overload.tenant_shares import TenantShares


def test_a_quota_refuses_the_tenant_that_is_over_it_and_refills() -> None:
    now = 0.0
    shares = TenantShares(2.0, lambda: now)
    shares.record_arrival("a")
    shares.record_arrival("a")
    with pytest.raises(QuotaExceeded, match=r"tenant 'a' is over its quota of 2 queries"):
        shares.record_arrival("a")
    shares.record_arrival("b")
    now = 0.5
    shares.record_arrival("a")
    with pytest.raises(QuotaExceeded):
        shares.record_arrival("a")


def test_a_single_tenant_is_never_above_its_share() -> None:
    shares = TenantShares(0.0, lambda: 0.0)
    for _ in range(1000):
        shares.record_arrival("a")
    assert not shares.current().above
    assert shares.current().active == 1


def test_shares_count_recent_queries_only() -> None:
    now = 0.0
    shares = TenantShares(0.0, lambda: now)
    for _ in range(10):
        shares.record_arrival("a")
    shares.record_arrival("b")
    assert shares.current().above == {"a"}
    now = 60.0
    assert not shares.current().above


def test_a_late_event_loop_sheds_the_tenant_above_its_share_first() -> None:
    metrics, refused = RouterMetrics(), Counter[str]()
    admission = AdmissionControl(AdmissionLimits(), metrics)
    for _ in range(TICKS):
        admission.record_lag(1.5 * SHED_SECONDS)
    for tenant in (["abusive"] * 10 + ["quiet"]) * 50:
        try:
            admission.require_capacity(tenant)
        except Overloaded:
            refused[tenant] += 1
    assert refused["abusive"] / 500 > 0.9
    assert refused["quiet"] / 50 < 0.6
    labels = {"cohort": "unknown", "reason": "quota"}
    assert (metrics.registry.get_sample_value("router_refused_total", labels) or 0) > 400
