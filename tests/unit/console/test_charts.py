"""Charts draw what was read: jumps, gaps where nothing was measured, and escaped texts."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.console.charts.effect_chart import effect_chart
from sluice.console.charts.gate_chart import gate_chart, gate_readings
from sluice.console.charts.percentage_chart import percentage_chart
from sluice.rollout.analysis.verdict import Check, Effect, Outcome, Verdict
from sluice.rollout.engine.event_chain import Event

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def _event(minutes: int, kind: str, percentage: float, text: str = "") -> Event:
    return Event(at=NOW + timedelta(minutes=minutes), kind=kind, text=text, percentage=percentage)


def _check(minutes: int, value: float | None, outcome: Outcome = Outcome.SUCCESSFUL) -> Check:
    verdict = Verdict(gate="errors", outcome=outcome, reason="<b>", value=value, limit=0.01)
    at = NOW + timedelta(minutes=minutes)
    return Check(id=f"canary/{minutes}", at=at, step="canary", verdicts=(verdict,))


def test_percentage_jumps_and_events_are_marked() -> None:
    events = [_event(0, "step", 5), _event(60, "red_flag", 5, "<b>"), _event(61, "rollback", 0)]
    svg = percentage_chart(events, 0, NOW + timedelta(hours=2))
    assert svg.count('class="chart-mark bad"') == 2
    assert "&lt;b&gt;" in svg
    assert "<b>" not in svg
    assert "now 0 %" in svg


def test_nothing_is_drawn_without_events() -> None:
    assert percentage_chart([], 0, NOW) == ""


@pytest.mark.parametrize(("values", "lines"), [([0.1, 0.2, 0.3], 1), ([0.1, None, 0.3], 2)])
def test_check_without_value_breaks_the_line(values: list[float | None], lines: int) -> None:
    """No data must not look like a reading between its neighbours."""
    readings = gate_readings([_check(i, value) for i, value in enumerate(values)], "errors")
    assert gate_chart(readings).count('class="spark-line"') == lines


def test_failed_reading_is_marked() -> None:
    checks = [_check(0, 0.001), _check(1, 0.02, Outcome.FAILED)]
    svg = gate_chart(gate_readings(checks, "errors"))
    assert svg.count('class="spark-bad"') == 1
    assert "<b>" not in svg


def _effects(*intervals: tuple[float, float]) -> list[tuple[datetime, Verdict]]:
    return [
        (
            NOW + timedelta(hours=hour),
            Verdict(
                gate="reward",
                outcome=Outcome.SUCCESSFUL,
                reason="",
                effect=Effect.difference((low + high) / 2, (low, high), -0.05),
            ),
        )
        for hour, (low, high) in enumerate(intervals)
    ]


def test_effect_shows_interval_no_difference_and_limit() -> None:
    """The band of every look, a line at no difference, and the harmful limit."""
    svg = effect_chart(_effects((-0.4, 0.5), (-0.1, 0.2), (-0.02, 0.06)))
    for part in ("effect-interval", "effect-unchanged", "spark-limit", "spark-line"):
        assert svg.count(f'class="{part}"') == 1
    assert "+0.02 against the control (-0.02 to +0.06; harm beyond -0.05)" in svg


def test_effect_with_an_open_end_is_not_drawn() -> None:
    """An interval without an upper bound must not look like a narrow one."""
    assert effect_chart(_effects((-0.4, float("inf")), (-0.1, 0.2))) == ""
