"""Each red flag and alert has a runbook, and what a runbook says to type exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rollout.plan_yaml import load_plan
from rollout.promql import names
from rollout.registry import OF_THE_SCRAPE, ROUTER_SERIES, WORKER_SERIES
from rollout.runbook import OWN
from tests.docs.test_guide import missing

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
PLANS = sorted((ROOT / "plans").glob("*.yaml"))
SERIES = ROUTER_SERIES | WORKER_SERIES
OTHERS = {"redis-cli", "temporal", "kubectl", "docker", "curl"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:sluice|curl) [^`]+)`")
LINES_MAX = 40

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def lines(page: Path, kind: str) -> list[str]:
    """The lines of the page's blocks of one kind."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [line for found, text in blocks if found == kind for line in text.splitlines()]


def commands(page: Path) -> Iterator[str]:
    """Everything that the page says to type, without the remark behind it."""
    text = page.read_text(encoding="utf-8")
    for line in (*lines(page, "console"), *INLINE.findall(text)):
        yield line.partition("  #")[0].strip()


def problem(command: str) -> str:
    """Why nobody could type it; empty when one could."""
    name = command.split(maxsplit=1)[0]
    if name == "sluice":
        return missing(re.sub(r'"[^"]*"', "TEXT", command))
    return "" if name in OTHERS else f"{name} is no command of ours"


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


def test_what_a_rollout_tells_by_itself_has_a_page() -> None:
    assert [page for page in OWN.values() if not (ROOT / page).is_file()] == []


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
    assert lines(page, "console")


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "README.md"], ids=lambda page: page.stem)
def test_every_command_exists(page: Path) -> None:
    assert [told for one in commands(page) if (told := problem(one))] == []


@each_page
def test_every_query_is_promql_over_what_routers_export(page: Path) -> None:
    for query in lines(page, "promql"):
        for selector in names(query).selectors:
            if selector.metric != "up":
                labels = set(SERIES[selector.metric])
                assert selector.labels <= labels | OF_THE_SCRAPE, query


def test_a_wrong_command_is_found() -> None:
    """The test can fail."""
    assert problem("sluice rollback --gently")
    assert problem("sluice flags dance")
    assert problem("rm -rf /")
