"""Operation of a rollout: status, explanation, report, end, and orphans."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from sluice.cli.errors import Exit
from sluice.flags import FeatureFlags
from sluice.rollout.plan.metric_catalog import WORKER_SERIES
from sluice.stack import Stack
from tests.conftest import screenshot_folder
from tests.faults.live_rollout import FLAG, SERVICES, SLOW_PLAN, LiveRollout
from tests.free_port import free_port
from tests.integration.cli.browser import chromium, running_browser
from workflows.models import workflow_id

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]
METRICS_VARIABLE, METRICS = "SLUICE_WORKER_METRICS_ADDRESS", f"127.0.0.1:{free_port()}"
ONLY_WHEN_BROKEN = "temporal_workflow_task_execution_failed_total"
IFRAMES_TEXT_SCRIPT = (
    "[...document.querySelectorAll('iframe')].map(f => f.contentDocument.body.innerText).join()"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(shared_stack: Stack) -> AsyncIterator[LiveRollout]:
    """One rollout at 5 % for all of these tests; the last one terminates it."""
    await shared_stack.up(SERVICES)
    async with Redis.from_url(shared_stack.environment()["REDIS_URL"]) as redis:
        await redis.flushall()
    rollout = await LiveRollout.start(shared_stack, {METRICS_VARIABLE: METRICS}, SLOW_PLAN)
    await rollout.wait_until(lambda s: s.percentage == 5 and s.check_count > 4)
    yield rollout
    await rollout.close()
    await shared_stack.stop("worker")
    shared_stack.set_scrape_targets([])


async def run_sluice(live: LiveRollout, *words: str, **more: str) -> tuple[int, str]:
    """One command as a person gives it: exit code, and what it printed."""
    environment = {**os.environ, **live.stack.environment(), "SLUICE_ACTOR": "ann", **more}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "sluice"),
        *words,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def run_sluice_json(live: LiveRollout, *words: str) -> Any:  # noqa: ANN401  any JSON document
    _, out = await run_sluice(live, *words, "--json")
    return json.loads(out)


async def wait_until_doctor_passes(live: LiveRollout) -> None:
    """Wait until the doctor reports no problem; on a busy machine a server may be late."""
    async with asyncio.timeout(120):
        while (await run_sluice(live, "doctor"))[0] != Exit.OK:
            pass


async def flag_state(live: LiveRollout) -> tuple[float, bool]:
    state = await FeatureFlags(live.redis).get_flag(FLAG)
    return state.rollout_percentage, state.killed


@pytest.mark.skipif(
    chromium() is None, reason="no Chromium: apt-get install chromium-headless-shell"
)
async def test_someone_who_never_saw_the_code_can_read_the_temporal_ui(
    live: LiveRollout, tmp_path: Path
) -> None:
    ui = live.stack.environment()["TEMPORAL_UI_URL"]
    run = (await live.rollouts.client.get_workflow_handle(workflow_id(FLAG)).describe()).run_id
    address = f"{ui}/namespaces/default/workflows/{workflow_id(FLAG)}/{run}"
    async with running_browser(chromium() or "", tmp_path / "profile") as page:
        await page.open(f"{address}/user-metadata", "Current Details", "User Metadata")
        shown = await page.wait_for_text(
            IFRAMES_TEXT_SCRIPT, "Progressing: Stage 4: Five", "learning at 5 %"
        )
        for text in ("Rollout of learning by plan seconds", "sluice abort learning", "below 1.00%"):
            assert text in shown
        await page.save_screenshot(screenshot_folder(tmp_path) / "temporal-ui.png")
        fields = await page.open(f"{address}/search-attributes", "SluiceStatus")
        for text in ('"SluiceFlag": "learning"', '"SluicePercentage": 5', '"ramp-5"'):
            assert text in fields
        assert "red flags of ramp-5" in await page.open(f"{address}/history", "red flags of ramp-5")


async def test_the_list_shows_step_and_share_and_filters_by_status(live: LiveRollout) -> None:
    (row,) = await run_sluice_json(live, "list", "--running")
    assert (row["flag"], row["workflow"], row["status"]) == (FLAG, "running", "Progressing")
    assert (row["step"], row["percentage"]) == ("ramp-5", 5.0)
    assert await run_sluice_json(live, "list", "--status", "Degraded") == []


async def test_a_running_rollout_can_be_reported(live: LiveRollout, tmp_path: Path) -> None:
    receipt = await run_sluice_json(live, "report", FLAG, "--directory", str(tmp_path))
    assert receipt["ending"] == "Interim"
    markdown = await asyncio.to_thread(Path(receipt["markdown"]).read_text)
    html = await asyncio.to_thread(Path(receipt["html"]).read_text)
    assert "## What Went Well" in markdown
    assert "data:image/svg+xml" in html


async def test_an_explanation_needs_only_the_ledger(live: LiveRollout) -> None:
    """Reading, threshold, samples, window and rule of a promotion, with Temporal out of reach."""
    code, out = await run_sluice(live, "explain", FLAG, "--json", TEMPORAL_ADDRESS="127.0.0.1:9")
    assert code == Exit.OK
    decisions = json.loads(out)["decisions"]
    (promoted,) = [one for one in decisions if one["kind"] == "promote"]
    (evidence,) = promoted["evidence"]
    assert evidence["verdict"]["value"] == pytest.approx(0.001)
    assert evidence["verdict"]["limit"] == pytest.approx(0.01)
    assert evidence["rule"]["window_seconds"] == 5
    assert "max(test_errors" in evidence["rule"]["query"]


async def test_a_worker_exports_what_its_dashboard_and_alerts_name(live: LiveRollout) -> None:
    """Names and labels of sluice/rollout/plan/metric_catalog.py, in a worker's own answer."""
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://{METRICS}/metrics")).text
    wanted = {name: labels for name, labels in WORKER_SERIES.items() if name != ONLY_WHEN_BROKEN}
    for name, labels in wanted.items():
        found = re.search(rf"^{name}\{{(.*)\}} ", text, re.MULTILINE)
        if found is None and name == "temporal_activity_execution_failed_total":
            continue  # none has failed yet
        assert found, f"the worker exports no {name}"
        assert [label for label in labels if f'{label}="' not in found[1]] == []


async def test_doctor_names_a_channel_that_the_plan_needs_and_the_worker_lacks(
    live: LiveRollout, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    routes = "notify: [{channel: log}, {channel: slack, severities: [P0]}]"
    await asyncio.to_thread(plan.write_text, f"{SLOW_PLAN}{routes}\n")
    findings: dict[str, dict[str, str]] = {}
    async with asyncio.timeout(120):
        while "channel slack" not in findings:  # a busy worker may answer late
            code, out = await run_sluice(live, "doctor", "--plan", str(plan), "--json")
            findings = {one["subject"]: one for one in json.loads(out)}
    assert (code, findings["channel log"]["level"]) == (Exit.FAILED, "good")
    assert "the worker lacks SLUICE_SLACK_URL" in findings["channel slack"]["message"]


async def test_a_second_rollout_of_the_flag_is_refused(live: LiveRollout, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    await asyncio.to_thread(plan.write_text, SLOW_PLAN)
    assert (await run_sluice(live, "start", str(plan)))[0] == Exit.FAILED
    assert (await live.rollouts.running_flags()) == [FLAG]


async def test_doctor_finds_an_orphan_and_fences_it(live: LiveRollout) -> None:
    """Terminating leaves the flag as it is; the doctor says so, and makes the old run harmless."""
    await wait_until_doctor_passes(live)
    run_id = (await live.rollouts.fetch_state(FLAG)).run_id
    await live.rollouts.client.get_workflow_handle(workflow_id(FLAG)).terminate("a slip")
    output = ""
    async with asyncio.timeout(120):
        while "an orphan" not in output:
            code, output = await run_sluice(live, "doctor")
    assert (code, await flag_state(live)) == (Exit.FAILED, (5, False))
    async with asyncio.timeout(120):
        while await flag_state(live) != (0, False):
            await run_sluice(live, "doctor", "--fence")
    assert run_id in (await FeatureFlags(live.redis).get_flag(FLAG)).fence.past_owners
    await wait_until_doctor_passes(live)
