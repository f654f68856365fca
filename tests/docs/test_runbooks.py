"""Each red flag and alert has a runbook, and what a runbook says to type exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sluice.rollout.analysis.promql import parse_selectors
from sluice.rollout.engine.runbook import BUILT_IN_RUNBOOKS
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.metric_catalog import ROUTER_SERIES, SCRAPE_LABELS, WORKER_SERIES
from tests.docs.test_guide import broken_reference

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
PLANS = sorted((ROOT / "plans").glob("*.yaml"))
SERIES = ROUTER_SERIES | WORKER_SERIES
FOREIGN_PROGRAMS = {"redis-cli", "temporal", "kubectl", "docker", "curl"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:sluice|curl) [^`]+)`")
LINES_MAX = 40

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def block_lines(page: Path, kind: str) -> list[str]:
    """Return the lines of the page's blocks of one kind."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [line for found, text in blocks if found == kind for line in text.splitlines()]


def commands(page: Path) -> Iterator[str]:
    """Everything that the page says to type, without the remark behind it."""
    text = page.read_text(encoding="utf-8")
    for line in (*block_lines(page, "console"), *INLINE.findall(text)):
        yield line.partition("  #")[0].strip()


def command_problem(command: str) -> str:
    """Return the problem of a command, or an empty string."""
    name = command.split(maxsplit=1)[0]
    if name == "sluice":
        return broken_reference(re.sub(r'"[^"]*"', "TEXT", command))
    return "" if name in FOREIGN_PROGRAMS else f"{name} is not a command of ours"


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_red_flag_of_our_plans_names_its_runbook(path: Path) -> None:
    flags = [flag for step in load_plan(path).steps for flag in step.red_flags]
    assert flags
    assert [
        (f.name, f.runbook) for f in flags if not (ROOT / (f.runbook or "none")).is_file()
    ] == []


def test_every_alert_leads_to_its_runbook() -> None:
    """Relative to our repository, behind the external label ``runbooks`` where there is one."""
    rules = yaml.safe_load((ROOT / "ops" / "prometheus" / "rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert alerts
    for alert in alerts:
        prefix, page = alert["annotations"]["runbook_url"].split("}}")
        assert prefix == "{{ $externalLabels.runbooks "
        assert (ROOT / page).is_file(), alert["alert"]


def test_every_built_in_alert_has_a_runbook() -> None:
    assert [page for page in BUILT_IN_RUNBOOKS.values() if not (ROOT / page).is_file()] == []


def test_the_index_has_every_page() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"]({page.name})" not in index] == []


@each_page
def test_a_page_is_short_and_says_what_was_done_and_where_to_look(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES_MAX
    assert "**Done already:**" in text or page.stem == "waiting"
    assert "## Look" in text
    assert re.search(r"\*\*(Retry|Resume|Go on|Wait|Pause)", text), "when to go on"
    assert re.search(r"\*\*(Abort|Roll back)|\*\*abort\*\*", text), "when to stop"
    assert block_lines(page, "console")


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "README.md"], ids=lambda page: page.stem)
def test_every_command_exists(page: Path) -> None:
    assert [problem for one in commands(page) if (problem := command_problem(one))] == []


@each_page
def test_every_query_is_promql_over_what_routers_export(page: Path) -> None:
    for query in block_lines(page, "promql"):
        for selector in parse_selectors(query).selectors:
            if selector.metric != "up":
                labels = set(SERIES[selector.metric])
                assert selector.labels <= labels | SCRAPE_LABELS, query


def test_a_wrong_command_is_found() -> None:
    """The test can fail."""
    assert command_problem("sluice rollback --gently")
    assert command_problem("sluice flags dance")
    assert command_problem("rm -rf /")
