"""The post-mortem as files: complete, self-contained, and written whole or not at all."""

import asyncio
import base64
import re
import stat
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from temporalio.testing import ActivityEnvironment

from activities.adapters.report_archive import FileArchive
from activities.contract.errors import ArchiveUnwritableError
from activities.contract.models import LedgerEntry, ReportReceipt, ReportRequest
from activities.doubles.ledger import MemoryLedger
from activities.rendering import report_text
from activities.report import ReportActivities
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import State
from sluice.rollout.engine.world import CheckResult
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import load_plan, parse_plan

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(hours=2)
ROOT = Path(__file__).parents[3]
PLAN = load_plan(ROOT / "plans" / "demo.yaml")
GUIDE_HEADINGS = [
    "Timeline",
    "What Went Well",
    "What Went Wrong",
    "Unexpected Issues",
    "Metrics Impact",
    "Recommendations for Next Time",
]


def finished_state(directory: Path) -> State:
    steps = [
        Event(
            at=START + timedelta(minutes=10 * number),
            kind="step",
            text=f"{step.title}: live",
            step=step.name,
            percentage=step.percentage,
        )
        for number, step in enumerate(PLAN.steps)
    ]
    approval = Event(at=END, kind="approve", text="fine | <b>so</b> far", actor="ann", percentage=5)
    return State(
        rollout_id="r",
        run_id="1",
        plan=PLAN.model_copy(update={"report_directory": str(directory)}),
        started_at=START,
        percentage=100,
        timeline=(*steps, approval),
        baseline={
            "latency_p99": Reading(metric="latency_p99", cohort="control", at=START, value=0.4)
        },
    )


def ledger_with_checks() -> MemoryLedger:
    ledger = MemoryLedger()
    asyncio.run(_append_checks(ledger))
    return ledger


async def _append_checks(ledger: MemoryLedger) -> None:
    step = PLAN.step("ramp-5")
    for minute in range(30):
        at = START + timedelta(minutes=minute)
        verdicts = tuple(
            Verdict(
                gate=gate.name,
                outcome=Outcome.SUCCESSFUL,
                reason=f"{gate.name} is fine",
                value=gate.threshold * (0.5 + minute / 100),
                limit=gate.threshold,
                unit=PLAN.metrics[gate.metric].unit,
                direction=gate.direction,
            )
            for gate in step.gates
        )
        check = Check(id=str(minute), at=at, step=step.name, verdicts=verdicts)
        body = CheckResult(check=check).model_dump_json()
        await ledger.append(
            LedgerEntry(rollout_id="r", key=str(minute), kind="check", at=at, body=body)
        )


def write_report(state: State, ledger: MemoryLedger) -> ReportReceipt:
    activities = ReportActivities(ledger, FileArchive(Path(state.plan.report_directory)))
    request = ReportRequest(state=state, ending="Healthy", at=END)
    return asyncio.run(ActivityEnvironment().run(activities.write_report, request))


class _PageParser(HTMLParser):
    """Collects what a page shows and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    return ledger_with_checks()


@pytest.fixture(scope="module")
def receipt(ledger: MemoryLedger, tmp_path_factory: pytest.TempPathFactory) -> ReportReceipt:
    """One report for the tests that only read it: its charts take a second."""
    return write_report(finished_state(tmp_path_factory.mktemp("report")), ledger)


def test_the_markdown_has_the_guides_headings_in_order(receipt: ReportReceipt) -> None:
    text = Path(receipt.markdown).read_text()
    assert text.startswith("# Phase 4 Demo Deployment Post-Mortem\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[: len(GUIDE_HEADINGS)] == GUIDE_HEADINGS
    assert len(re.findall(r"^- Stage \d: ", text, re.MULTILINE)) == 5
    assert "400 ms" in text


def test_tables_survive_what_people_write(receipt: ReportReceipt) -> None:
    assert r"fine \| \<b\>so\</b\> far" in Path(receipt.markdown).read_text()
    assert "fine | &lt;b&gt;so&lt;/b&gt; far" in Path(receipt.html).read_text()


def test_the_html_needs_nothing_else(receipt: ReportReceipt) -> None:
    page = _PageParser()
    page.feed(Path(receipt.html).read_text())
    assert "script" not in page.tags
    assert page.tags.count("h1") == 1
    assert len(page.sources) > 3
    for source in page.sources:
        kind, data = source.split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        assert ET.fromstring(base64.b64decode(data)).tag.endswith("svg")  # noqa: S314  our own


def test_names_follow_flag_and_time_and_the_ledger_knows_them(
    receipt: ReportReceipt, ledger: MemoryLedger
) -> None:
    assert Path(receipt.html).name == "phase4_online_learning-2026-03-01-1400.html"
    (entry,) = asyncio.run(ledger.entries("r", "report"))
    assert ReportReceipt.model_validate_json(entry.body).html == receipt.html
    assert entry.digest == receipt.digest


def test_final_state_and_report_continue_the_chain_of_evidence(
    receipt: ReportReceipt, ledger: MemoryLedger
) -> None:
    (state,) = asyncio.run(ledger.entries("r", "state"))
    (report,) = asyncio.run(ledger.entries("r", "report"))
    assert state.linked_to("") == state, "finished_state has no checks of its own"
    assert report.linked_to(state.digest).digest == receipt.digest


def test_writing_again_replaces_and_leaves_nothing_behind(
    receipt: ReportReceipt, ledger: MemoryLedger
) -> None:
    folder = Path(receipt.html).parent
    assert write_report(finished_state(folder), ledger) == receipt
    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [".html", ".md"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o644


def test_a_rollout_without_checks_has_a_report_too(tmp_path: Path) -> None:
    receipt = write_report(finished_state(tmp_path), MemoryLedger())
    assert "No check was recorded." in Path(receipt.markdown).read_text()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    archive = FileArchive(tmp_path)
    with pytest.raises(ArchiveUnwritableError, match="report_directory"):
        archive.write(finished_state(Path("file/below")), "a.md", "text")


def test_a_relative_directory_is_below_the_root(tmp_path: Path) -> None:
    path = FileArchive(tmp_path).write(finished_state(Path("docs/deployments")), "a.md", "text")
    assert Path(path) == tmp_path / "docs/deployments/a.md"


@pytest.mark.parametrize("directory", ["../out", "link", "link/below", "docs/../../out"])
def test_nothing_is_written_outside_of_the_root(tmp_path: Path, directory: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    with pytest.raises(ArchiveUnwritableError, match="outside of"):
        FileArchive(root).write(finished_state(Path(directory)), "a.md", "text")
    with pytest.raises(ArchiveUnwritableError, match="outside of"):
        FileArchive(root).write(finished_state(outside), "a.md", "text")
    assert not list(outside.iterdir())


@pytest.mark.parametrize("directory", ["/etc", "../..", "reports/../..", "~/reports", ".."])
def test_a_plan_names_a_folder_below_the_root(directory: str) -> None:
    text = (ROOT / "plans" / "phase4.yaml").read_text()
    with pytest.raises(PlanError, match="SLUICE_REPORT_ROOT"):
        parse_plan(
            text.replace("report_directory: docs/deployments", f"report_directory: {directory}")
        )


def test_templates_render_where_no_compiled_one_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeping compiled templates saves time only: a full disk takes nothing but that."""
    unwritable = report_text.CompiledTemplates(str(tmp_path / "missing"))
    monkeypatch.setattr(report_text, "CompiledTemplates", lambda: unwritable)
    environment = report_text.build_environment()
    assert environment.get_template("report.md.j2").filename

    def refuse() -> None:
        raise RuntimeError("the folder belongs to another user")

    monkeypatch.setattr(report_text, "CompiledTemplates", refuse)
    assert report_text.build_environment().bytecode_cache is None
