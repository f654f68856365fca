"""A first plan lints clean whatever it was asked for, and the schema accepts what the loader does."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml

from sluice.cli.commands.init import plan_schema
from sluice.cli.starter_plan import MetricSource, StarterPlan
from sluice.flags.service.user_record import USER_FAILURE_STRATA
from sluice.rollout.analysis.statistic import UserHazards
from sluice.rollout.plan.lint import lint_warnings
from sluice.rollout.plan.loader import parse_plan

ROOT = Path(__file__).parents[3]
MIDDLEWARE = MetricSource(labels='flag="shop"')
OWN = MetricSource(
    "http_requests_total", 'code=~"5.."', "http_request_seconds", ("variant", "new", "old.v1")
)
SLUICE = str(Path(sys.executable).with_name("sluice"))


@pytest.mark.parametrize("source", [MIDDLEWARE, OWN], ids=["middleware", "own"])
@pytest.mark.parametrize("seconds", [5, 20, 600, 3600, 86_400, 7 * 86_400])
def test_a_starter_plan_has_neither_mistakes_nor_warnings(
    source: MetricSource, seconds: int
) -> None:
    hold = timedelta(seconds=seconds)
    plan = parse_plan(StarterPlan("shop", "shop", source, hold=hold).render())
    assert list(lint_warnings(plan, None)) == []
    assert [step.percentage for step in plan.steps] == [0, 5, 25, 50, 100]


@pytest.mark.parametrize("source", [MIDDLEWARE, OWN], ids=["middleware", "own"])
@pytest.mark.parametrize("seconds", [20, 3600, 86_400])
@pytest.mark.parametrize("rate", [0.02, 0.5, 8, 300])
def test_windows_suit_the_request_rate(source: MetricSource, seconds: int, rate: float) -> None:
    """At 5 % of few requests a default window would never hold its samples."""
    hold = timedelta(seconds=seconds)
    plan = parse_plan(StarterPlan("shop", "shop", source, hold=hold, rate=rate).render())
    assert plan.traffic is not None
    assert plan.traffic.queries_per_day == pytest.approx(rate * 86_400, rel=0.01)
    gate = plan.steps[1].gates[0]
    has_samples = rate * 0.05 * gate.window.total_seconds() >= gate.min_samples
    assert has_samples or gate.window == timedelta(days=2)
    assert plan.steps[1].hold >= gate.window
    texts = [text for _, text in lint_warnings(plan, None)]
    assert [text for text in texts if "it will hold" in text or "of looks" in text] == []


def test_one_user_with_many_failing_requests_is_one_piece_of_evidence() -> None:
    plan = parse_plan(StarterPlan("shop", "shop", MIDDLEWARE).render())
    statistic = plan.metrics["users_failed"].statistic
    assert isinstance(statistic, UserHazards)
    counted = tuple(str(nth) for nth in USER_FAILURE_STRATA)
    assert statistic.strata == counted, "the labels of SluiceMiddleware"
    own = parse_plan(StarterPlan("shop", "shop", OWN).render())
    assert not any(metric.statistic for metric in own.metrics.values()), "it counts no users"


@pytest.mark.parametrize("name", ["demo.yaml", "phase4.yaml"])
def test_the_schema_accepts_our_plans(name: str) -> None:
    document = yaml.safe_load((ROOT / "plans" / name).read_text())
    jsonschema.Draft202012Validator(plan_schema()).validate(document)


def test_the_schema_finds_a_misspelt_field() -> None:
    document = yaml.safe_load(StarterPlan("shop", "shop", OWN).render())
    document["steps"][1]["percent"] = 5
    with pytest.raises(jsonschema.ValidationError, match="percent"):
        jsonschema.Draft202012Validator(plan_schema()).validate(document)


def test_the_published_schema_is_that_of_the_code() -> None:
    """`sluice schema plan > plans/plan.schema.json` renews it."""
    assert json.loads((ROOT / "plans" / "plan.schema.json").read_text()) == plan_schema()


def test_init_writes_a_plan_and_replaces_none(tmp_path: Path) -> None:
    def init(*options: str) -> subprocess.CompletedProcess[str]:
        command = [SLUICE, "init", "--flag", "shop", *options]
        nowhere = {"PROMETHEUS_URL": "http://127.0.0.1:9", "PATH": ""}
        return subprocess.run(  # noqa: S603  our own command
            command, cwd=tmp_path, env=nowhere, text=True, capture_output=True, check=False
        )

    done = init("--hold", "2h")
    assert done.returncode == 0, done.stderr
    assert parse_plan((tmp_path / "shop.yaml").read_text()).steps[1].hold == timedelta(hours=2)
    again = init()
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    unwritable = init("--out", "missing/shop.yaml")
    assert (unwritable.returncode, "cannot be written" in unwritable.stderr) == (2, True)
    options = (("--error-rate", "300%"), ("--hold", "0s"), ("--latency", "5%"))
    for option in options:
        refused = init(*option, "--force")
        assert (refused.returncode, option[0] in refused.stderr) == (2, True), refused.stderr
    wrong = init("--hold", "soon", "--force")
    assert (wrong.returncode, "not a duration" in wrong.stderr) == (2, True)
