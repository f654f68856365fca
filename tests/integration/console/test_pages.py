"""The console follows a rollout and takes decisions, bound to evidence."""

import asyncio
import re

import httpx
import pytest

from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import Status
from tests.integration.console.consoles import LiveConsole

pytestmark = pytest.mark.integration


async def wait_for(live: LiveConsole, client: httpx.AsyncClient, *texts: str) -> str:
    return await wait_for_page(client, f"/rollouts/{live.flag}", *texts)


async def wait_for_page(client: httpx.AsyncClient, path: str, *texts: str) -> str:
    async with asyncio.timeout(20):
        while True:
            page = (await client.get(path)).text
            if all(text in page for text in texts):
                return page
            await asyncio.sleep(0.2)


def form_of(page: str, **fields: str) -> dict[str, str]:
    """Return the fields of a decision's form, as a browser sends them."""
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {**dict(hidden), **fields}


async def test_rollout_is_followed_attested_approved_and_aborted(live: LiveConsole) -> None:
    """The whole way of an approver: list, live page, evidence, decision; then the way out."""
    async with live.logged_in() as client:
        # Temporal's list follows a start by up to a second.
        await wait_for_page(client, "/", live.flag)
        await wait_for(live, client, "1 more approval needed", "Approve…")
        attest = f"/rollouts/{live.flag}/decide/attest?item=informed"
        page = (await client.get(attest)).text
        sent = await client.post(attest.partition("?")[0], data=form_of(page, reason="phoned"))
        assert sent.status_code == 303, sent.text
        page = (await client.get(f"/rollouts/{live.flag}/decide/approve")).text
        assert "internal/" in page
        sent = await client.post(
            f"/rollouts/{live.flag}/decide/approve", data=form_of(page, reason="fine")
        )
        assert sent.status_code == 303, sent.text
        page = await wait_for(live, client, "50 % <small>of users")
        assert "approve: " in page
        stop = (await client.get(f"/stop?flag={live.flag}")).text
        sent = await client.post(f"/rollouts/{live.flag}/decide/abort", data=form_of(stop))
        assert sent.status_code == 303, sent.text
    state = await live.rollouts.fetch_state(live.flag)
    assert state.abort is not None
    assert state.abort.actor == "ada"
    assert state.percentage == 0
    assert state.status in (Status.ABORTED, Status.PROGRESSING)


async def test_every_page_of_a_rollout_opens(live: LiveConsole) -> None:
    """Explain, plan, report, flags and stop show this rollout; an unknown one is not found."""
    async with live.logged_in() as client:
        await wait_for(live, client, "1 more approval needed")
        explain = (await client.get(f"/rollouts/{live.flag}/explain")).text
        assert "errors" in explain
        assert "must be below 1.00%" in explain
        plan = (await client.get(f"/rollouts/{live.flag}/plan")).text
        assert "error_spike" in plan
        assert "at least 10 samples" in plan
        assert "# " in (await client.get(f"/rollouts/{live.flag}/report")).text
        assert live.flag in (await client.get("/flags")).text
        assert f"Kill {live.flag}" in (await client.get("/stop")).text
        assert (await client.get("/rollouts/absent")).status_code == 404
        filtered = (await client.get("/", params={"search": "no such flag"})).text
        assert live.flag not in filtered


async def test_event_reaches_an_open_page_within_a_second(live: LiveConsole) -> None:
    """The stream sends what changed, and only that."""
    async with live.logged_in() as client, asyncio.timeout(30):
        await wait_for(live, client, "1 more approval needed")
        async with client.stream("GET", f"/rollouts/{live.flag}/events") as stream:
            lines = stream.aiter_lines()
            async for line in lines:
                if '"id": "timeline"' in line:
                    break
            began = asyncio.get_running_loop().time()
            by = Command(actor="grace", reason="a word to remember")
            await live.rollouts.send_command(live.flag, Verb.PAUSE, by)
            async for line in lines:
                if "a word to remember" in line:
                    break
            assert asyncio.get_running_loop().time() - began < 1.0


async def test_stale_evidence_is_refused_and_the_newer_offered(live: LiveConsole) -> None:
    """An old link leads to the newest readings; what the form sends is what counts."""
    async with live.logged_in() as client:
        await wait_for(live, client, "1 more approval needed")
        path = f"/rollouts/{live.flag}/decide/approve"
        page = (await client.get(path, params={"evidence": "internal/99999"})).text
        assert "Not possible now: check internal/99999 does not exist" in page
        assert "Approve on internal/99999" not in page, "a button that can only be refused"
        newest = next(part for part in page.split('"') if part.startswith("?evidence=internal"))
        form = form_of((await client.get(path + newest)).text, evidence="internal/99999")
        sent = await client.post(path, data=form)
        assert sent.status_code == 409
        assert "Nothing was decided" in sent.text
    assert not (await live.rollouts.fetch_state(live.flag)).entry.approvals


async def test_kill_needs_one_post_and_shows_on_the_flags_page(live: LiveConsole) -> None:
    """No reason is too long for it; the audit trail gets one safe line."""
    async with live.logged_in() as client:
        await wait_for(live, client, "1 more approval needed")
        page = (await client.get(f"/stop?flag={live.flag}")).text
        form = form_of(page, reason="\x1b[31m\n" + "because " * 200)
        sent = await client.post(f"/flags/{live.flag}/kill", data=form)
        assert sent.status_code == 303, sent.text
        shown = (await client.get("/flags")).text
        assert f"{live.flag} is killed" in shown


async def test_each_rollout_of_a_flag_has_its_own_page(live: LiveConsole) -> None:
    """A restarted rollout does not hide the record of the one before it."""
    async with live.logged_in() as client:
        await wait_for(live, client, "1 more approval needed")
        first = (await live.rollouts.fetch_state(live.flag)).run_id
        by = Command(actor="ada", reason="the first one ends")
        await live.rollouts.send_command(live.flag, Verb.ABORT, by)
        await live.rollouts.client.get_workflow_handle(f"rollout-{live.flag}").result()
        await live.start()
        link = f"/rollouts/{live.flag}/explain?run={first}"
        await wait_for_page(client, "/", f'<a href="{link}">{live.flag} <small>earlier</small>')
        earlier = (await client.get(link)).text
        assert "The record of an earlier rollout" in earlier
        assert "the first one ends" in earlier
        latest = (await client.get(f"/rollouts/{live.flag}/explain")).text
        assert "the first one ends" not in latest


async def test_whatif_judges_recorded_readings_by_another_limit(live: LiveConsole) -> None:
    """A form changes one rule; a mistake in it is named, and nothing of the rollout changes."""
    async with live.logged_in() as client:
        await wait_for(live, client, "1 more approval needed")
        path = f"/rollouts/{live.flag}/whatif"
        assert "internal.errors" in (await client.get(path)).text
        edit = {"rule": "internal.errors", "field": "threshold", "value": "0.1%"}
        page = (await client.get(path, params=edit)).text
        assert "recorded verdicts judged again" in page
        assert "Successful → Failed" in page
        wrong = (await client.get(path, params={**edit, "value": "<b>many"})).text
        assert 'role="alert"' in wrong
        assert "<b>many" not in wrong


async def test_finding_is_acknowledged_for_a_time_with_a_reason(live: LiveConsole) -> None:
    """The page proposes a time; without a reason, or for too long, nothing is decided."""
    path = f"/rollouts/{live.flag}/decide/acknowledge"
    async with live.logged_in() as ada:
        await wait_for(live, ada, "1 more approval needed")
        live.metrics.values["reward"] = 0.1
        await wait_for(live, ada, "Acknowledge")
        page = (await ada.get(f"{path}?item=unhappy")).text
        assert 'name="duration" value="6h"' in page
        sent = await ada.post(path, data=form_of(page, duration="1h"))
        assert "needs a reason" in sent.text
        await asyncio.sleep(1)  # a decision a second
        form = form_of(page, reason="known batch job", duration="9d")
        assert "at most 7d" in (await ada.post(path, data=form)).text
        await asyncio.sleep(1)
        form = form_of(page, reason="known batch job", duration="1h")
        assert (await ada.post(path, data=form)).status_code == 303
        await wait_for(live, ada, "acknowledged by ada until")
