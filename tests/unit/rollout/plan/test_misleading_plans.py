"""Plans that mean something else than they say are refused, with line and fix, and never crash."""

import json
from pathlib import Path

import pytest

from sluice.flag_rules import percentage_problem
from sluice.rehearsal.errors import NotRehearsableError
from sluice.rehearsal.runner.session import require_scenario_fits
from sluice.rehearsal.traffic.scenario import load_scenario
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.lint import lint_warnings
from sluice.rollout.plan.loader import load_plan, parse_plan
from sluice.rollout.plan.schema import ExpectedTraffic

PLANS = Path(__file__).parents[4] / "plans"
PLAN = """name: p
flag: f
metrics:
  errors:
    query: sum(rate(e{c=~"$cohort"}[$window]))
    unit: ratio
  latency: {query: 'l{c=~"$cohort"}', unit: seconds}
  reward: {query: 'r{c=~"$cohort"}', unit: score}
  queue: {query: 'q', unit: count}
baselines:
  - {metric: latency, cohort: control, threshold: 0, window: 5m}
steps:
  - name: dark
    title: Dark
    stage: 3
    record_baseline: true
    interval: 10m
    hold: 1h
    deadline: 2h
    gates: [{metric: errors, cohort: control, threshold: 1%, window: 5m}]
  - name: ramp
    title: Ramp
    stage: 4
    percentage: 25
    whitelist: [alice]
    rollback_to: dark
    interval: 10m
    hold: 48h
    deadline: 50h
    gates:
      - {metric: errors, threshold: 1%, window: 5m}
"""
GATE = "{metric: errors, threshold: 1%, window: 5m}\n"
GATE_LINE, RAMP = 31, "percentage: 25"


def problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_plan(text)
    return str(caught.value).splitlines()


def with_gate(fields: str) -> str:
    return PLAN.replace(f"- {GATE}", f"- {{{fields}, window: 5m}}\n")


def test_the_plan_of_these_tests_is_valid() -> None:
    assert parse_plan(PLAN).step("ramp").percentage == 25


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("metric: errors, threshold: 2x", "'2x' is relative; set kind: baseline or control"),
        ("metric: errors, threshold: +10%", "'+10%' is relative"),
        ("metric: errors, kind: control, threshold: 1.1", "change by +110%; write +110% or"),
        ("metric: latency, kind: baseline, threshold: 2", "as a factor, 2x"),
        ("metric: latency, kind: control, threshold: 10%", "write +10%"),
        ("metric: latency, kind: control, threshold: 500ms", "'500ms' is a time"),
        ("metric: latency, kind: control, threshold: +10%, floor: 2x", "'2x' is relative"),
        ("metric: latency, threshold: 5%", "is a share, but the metric's unit is seconds"),
        ("metric: queue, cohort: all, threshold: 5m", "is a time, but the metric's unit is count"),
        ("metric: errors, threshold: 100ms", "is a time, but the metric's unit is ratio"),
        ("metric: queue, kind: control, threshold: +10%", "both sides would be the same number"),
        ("metric: errors, threshold: true", "True is not a threshold"),
        ("metric: errors, threshold: 1%, consecutive: true", "true is not a number"),
        ('metric: errors, threshold: 1%, consecutive: "1_0"', "'1_0' is not a number"),
        ("metric: errors, threshold: 1%, min_samples: yes", "is not a whole number"),
    ],
)
def test_a_threshold_that_does_not_fit_its_gate(fields: str, words: str) -> None:
    """Forms that would silently become other numbers: 2x is 1.0, 1.1 is +110 %, 500ms is +50 %."""
    found = problems(with_gate(fields))
    assert any(one.startswith(f"line {GATE_LINE}: ") and words in one for one in found), found


@pytest.mark.parametrize(
    "fields",
    [
        "metric: latency, kind: control, threshold: +10%, floor: 200ms",
        "metric: latency, kind: baseline, threshold: 2x",
        "metric: latency, kind: control, threshold: 0%",
        "metric: reward, kind: control, threshold: -5%, direction: above",
        "metric: errors, kind: trend, threshold: +1%",
        "metric: reward, threshold: 50%, direction: above",
    ],
)
def test_a_threshold_that_fits_is_accepted(fields: str) -> None:
    parse_plan(with_gate(fields))


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("hold: 48h", "hold: 48:00", 28, "write for example 48h00m or 48m00s"),
        ("hold: 48h", "hold: 999999999999d", 28, "it must be from 0s to 36500d"),
        ("hold: 48h", f"hold: {'9' * 400}", 28, "is a number of 400 digits"),
        ("hold: 48h", f"hold: {'9' * 5000}", 28, "is a number of 5,000 digits"),
        (RAMP, "percentage: 025", 24, "'025' is not a decimal number"),
        (RAMP, "percentage: 0x19", 24, "'0x19' is not a decimal number"),
        (RAMP, "percentage: 0b11", 24, "'0b11' is not a decimal number"),
        (RAMP, "percentage: 1:30", 24, "'1:30' is not a percentage"),
        (RAMP, "percentage: true", 24, "'True' is not a percentage"),
        (RAMP, "percentage: 33.333", 24, "at most two decimals"),
        (RAMP, "percentage: .nan", 24, "give a number, 0 to 100"),
        ("[alice]", "['']", 25, "entry 1, '': give a text of 1 to 256 characters"),
        ("[alice]", "[alice, alice]", 25, "entry 2, 'alice', is written twice"),
        ("[alice]", f"[{'a' * 257}]", 25, "give a text of 1 to 256 characters"),
        ("[alice]", "alice", 25, "give a list of user ids"),
        ("flag: f", "flag: f\nstale_after: 0s", 3, "stale_after must be at least 1s"),
        ("flag: f", "flag: f\nwatch_interval: 30d", 3, "watch_interval must be from 1s to 5m"),
        ("flag: f", "flag: f\nblind_after: 1s", 3, "must be from one watch_interval, 2s"),
        ("flag: f", "flag: f\nalpha: 1.2x", 3, "'1.2x' is not a share"),
        ("flag: f", "flag: f\nalpha: 50ms", 3, "'50ms' is not a share"),
        ("flag: f", "flag: {{ x }}", 2, "put {{ … }} in quotes"),
        ("flag: f", "flag: !env X", 2, "has the tag !env; remove it"),
        ("flag: f", "flag: !!int abc", 2, "has the tag !!int; remove it"),
        ("flag: f", "flag: !!python/name:os.system ''", 2, "has the tag !!python/name:os.system"),
        ("flag: f", 'flag: "a\\0b"', 2, "control character U+0000"),
        ("title: Ramp", 'title: "a\\e[2Jb"', 22, "control character U+001B"),
        ("title: Ramp", 'title: "a\\u202eb"', 22, "control character U+202E"),
        (
            "flag: f",
            "flag: f\nrollbacks: {graceful: {percentages: [33.333, 0]}}",
            3,
            "at most two decimals",
        ),
        ("flag: f", "flag: f\nfreezes: [{name: x, dates: [2026-02-30]}]", 3, "'2026-02-30'"),
        ("flag: f", "flag: f\nfreezes: [{name: x, dates: 2026-13-01}]", 3, "'2026-13-01'"),
        ("rollback_to: dark", "rollback_to: dark\n    rollback_choices: [x]", 27, "'x' is not an"),
        ("flag: f", "flag: f\nfreezes: [{name: x, days: sat}, {name: x, days: sun}]", 3, "is used twice"),
        ("flag: f", "flag: f\nfreezes: [{name: x, days: sat, hours: 12}]", 3, "hours"),
        ("flag: f", "flag: f\nrollbacks: {graceful: {percentages: [25, 50, 0]}}", 3, "must fall"),
        ("flag: f", "flag: f\nrollbacks: {graceful: {watch: 0s}}", 3, "watch must be longer than"),
        ("hold: 48h", "hold: 48", 28, "48 has no unit; write for example 48s or 48m"),
        ("percentage: 25", "percentage: 0.25", 24, "0.25 is ambiguous; write 0.25% or, as a share, 25%"),
        ("percentage: 25", "percentage: ~", 24, "is null; write a number"),
        ("flag: f", "flag: f\nrollbacks: {graceful: {percentages: [0.5, 0]}}", 3, "0.5 is ambiguous"),
        (GATE, "{metric: latency, threshold: 500, window: 5m}\n", GATE_LINE, "500ms or 500s"),
        ("    title: Ramp", "\ttitle: Ramp", 22, "is indented by a tab; write spaces"),
        ("    title: Ramp", "\u00a0   title: Ramp", 22, "by the character U+00A0; write spaces"),
        ("flag: f", "flag: f\n<<: {alpha: 5%}\n<<: {}", 4, "write <<: [*a, *b]"),
        ("flag: f", '"fl\\eag": f', 2, "control character U+001B"),
        ("metrics:", "metrics: !env", 3, "has the tag !env; remove it"),
        ("deadline: 50h", "deadline: 50h\n    stable_for: 3d", 30, "stable_for must not be longer"),
        ("interval: 10m\n    hold: 48h", "interval: 3d\n    hold: 48h", 27, "no check would come"),
        ("[alice]", f"[{', '.join(f'u{n}' for n in range(10_001))}]", 25, "the most is 10000"),
        (
            f"{GATE}",
            "{metric: latency, threshold: 1s, min_events: 3, window: 5m}\n",
            GATE_LINE,
            "it belongs to a gate of unit: ratio",
        ),
        (
            f"{GATE}",
            "{metric: errors, threshold: 1%, min_events: 3, window: 5m}\n",
            GATE_LINE,
            "needs samples: of the metric 'errors'",
        ),
        (
            "rollback_to: dark",
            "rollback_to: dark\n    delete_flag: true",
            27,
            "would take the treatment from everybody",
        ),
        (
            "rollback_to: dark",
            "rollback_to: dark\n    delete_flag: true\n"
            "    phases: {enable_feature_flags: false, enable_online_learning: false}",
            27,
            "would take the treatment from everybody",
        ),
    ],
)  # fmt: skip
def test_a_value_that_means_something_else(old: str, new: str, line: int, words: str) -> None:
    """Each is refused on its own line, with the fix."""
    assert old in PLAN
    found = problems(PLAN.replace(old, new, 1))
    assert any(one.startswith(f"line {line}: ") and words in one for one in found), found


def test_a_service_attests_that_its_code_no_longer_asks_the_flag() -> None:
    """A plan without phases has no switch that makes the treatment permanent."""
    attested = "checklist: [{name: code-gone, title: The code no longer asks the flag}]"
    text = f"rollback_to: dark\n    delete_flag: true\n    {attested}"
    assert parse_plan(PLAN.replace("rollback_to: dark", text, 1)).steps[-1].delete_flag
    with_phases = (
        f"{text}\n    phases: {{enable_feature_flags: true, enable_online_learning: true}}"
    )
    refused = problems(PLAN.replace("rollback_to: dark", with_phases, 1))
    assert any("would take the treatment" in one for one in refused)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('sum(rate(e{c=~"$cohort"}[$window])', "is not PromQL: unclosed left parenthesis"),
        ("rate(e)", "is not PromQL: expected type matrix"),
        ("errors treatment", "is not PromQL"),
        ('e{c=~"$cohort"}[$window]', "gives a range"),
        ("vector(1)", "selects no series"),
        ('e{c!~"$cohort"}', "excludes the cohort"),
        ('e{c="$cohort"}', "is a regular expression"),
        ("e{c=~'$stage'}", "may use only $cohort and $window"),
    ],
)
def test_every_expression_is_parsed(query: str, words: str) -> None:
    """A red flag on an expression that Prometheus refuses would never fire."""
    found = problems(PLAN.replace('sum(rate(e{c=~"$cohort"}[$window]))', json.dumps(query), 1))
    assert any(one.startswith("line 5: ") and words in one for one in found), found


@pytest.mark.parametrize("percentage", [0, 0.01, 33.33, 33.333, 99.999, 100, 100.01, -1])
def test_lint_accepts_a_percentage_exactly_when_the_store_does(percentage: float) -> None:
    """One rule for both: what lint passes, no write refuses three hours later."""
    text = PLAN.replace(RAMP, f"percentage: {percentage}%")
    if percentage_problem(percentage):
        assert any("percentage" in one for one in problems(text))
    else:
        assert parse_plan(text).step("ramp").percentage == percentage


@pytest.mark.parametrize(
    ("users", "words"),
    [
        ('["ada", "ada\\u200b"]', "holds U+200B, which nobody sees"),
        ('["ren\\u00e9", "rene\\u0301"]', "looks like an earlier entry"),
        ('["\\u0430da"]', "mixes Cyrillic and Latin letters"),
    ],
)
def test_a_user_id_that_looks_like_another_is_refused(users: str, words: str) -> None:
    """Nobody with the id that people read would be treated."""
    found = problems(PLAN.replace("[alice]", users, 1))
    assert any(words in one for one in found), found


def test_a_library_scenario_whose_fault_begins_after_the_plan_is_refused() -> None:
    """The rehearsal would end Healthy, having rehearsed nothing."""
    short = load_plan(PLANS / "demo.yaml")
    with pytest.raises(NotRehearsableError, match="the fault would never begin"):
        require_scenario_fits(short, load_scenario("latency"))
    require_scenario_fits(load_plan(PLANS / "phase4.yaml"), load_scenario("latency"))


def test_a_gate_that_measures_everybody_is_reported() -> None:
    plan = parse_plan(with_gate("metric: queue, threshold: 5"))
    (text,) = [text for place, text in lint_warnings(plan, None) if "gates" in place]
    assert "it measures everybody" in text
    assert "write cohort: all" in text


def test_short_steps_are_described_in_their_own_units() -> None:
    """The hold of a minute is not called an hour, and a margin that hides the harm is named."""
    statistic = (
        "errors:\n    statistic: {test: rate, margin: MARGIN, events: 'e{c=~\"$cohort\"}', "
        "units: 'u{c=~\"$cohort\"}'}"
    )
    text = PLAN.replace("errors:", statistic, 1).replace("hold: 48h", "hold: 1m")
    text = text.replace(GATE, "{metric: errors, kind: statistical, window: 30s}\n")
    traffic = ExpectedTraffic(queries_per_day=100_000)
    slow = [one for _, one in lint_warnings(parse_plan(text.replace("MARGIN", "1.5")), traffic)]
    assert any("the step holds 1 minute;" in one for one in slow), slow
    hidden = [one for _, one in lint_warnings(parse_plan(text.replace("MARGIN", "3")), traffic)]
    assert any("because margin: 3 of 'errors' allows it" in one for one in hidden), hidden


def test_a_step_after_the_deletion_of_the_flag_sets_no_percentage() -> None:
    """The flag is gone: its percentage would expose nobody."""
    cleanup = PLAN.replace(
        RAMP,
        "delete_flag: true\n"
        "    phases: {enable_feature_flags: false, enable_online_learning: true}",
    ).replace("    whitelist: [alice]\n", "")
    third = "  - name: ramp" + PLAN.split("  - name: ramp")[1].replace("25", "30")
    (problem,) = problems(cleanup + third.replace("name: ramp", "name: late"))
    assert "step 'ramp' has deleted the flag; remove one of both" in problem


def test_a_slope_of_what_has_no_series_is_refused() -> None:
    trend = "{metric: queue, kind: trend, threshold: 5, window: 5m}\n"
    found = problems(PLAN.replace(GATE, trend).replace("query: 'q'", "query: 'scalar(q)'"))
    assert any("its slope can't be computed" in line for line in found), found
