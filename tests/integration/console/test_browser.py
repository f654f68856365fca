"""A person with a browser: desktop and phone, light and dark, with nothing but clicks and typing."""

import time
from pathlib import Path

import pytest

from sluice.rollout.engine.commands import Command, Verb
from tests.conftest import screenshot_folder
from tests.integration.cli.browser import BrowserPage, chromium, running_browser
from tests.integration.console.consoles import JsonInbox, LiveConsole, ProvenConsole

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(chromium() is None, reason="NO CHROMIUM: apt-get install chromium"),
]
DESKTOP, PHONE = (1280, 900), (360, 740)


async def click(page: BrowserPage, text: str) -> None:
    """Click the first link or button with this text, as shown."""
    script = f"""(() => {{
        const all = [...document.querySelectorAll("a, button")];
        const found = all.find((one) => one.innerText.trim().startsWith({text!r}));
        if (!found) return "absent";
        found.click();
        return "clicked";
    }})()"""
    assert await page.evaluate(script) == "clicked", f"nothing to click shows {text!r}"


async def resize(page: BrowserPage, size: tuple[int, int]) -> None:
    width, height = size
    await page.send_command(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 600,
    )


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_approver_decides_by_clicks(
    size: tuple[int, int], live: LiveConsole, tmp_path: Path
) -> None:
    """From the login link to an approved step, then aborted in two clicks; nothing overflows."""
    program = chromium()
    pictures = screenshot_folder(tmp_path)
    assert program is not None
    async with running_browser(program, tmp_path / "profile") as page:
        await resize(page, size)
        await page.open(live.login_url(), "Rollouts", live.flag)
        await click(page, live.flag)
        await page.wait_for_text("document.body.innerText", "1 more approval needed")
        await click(page, "Attest informed")
        await page.wait_for_text("document.body.innerText", "Attest:")
        await click(page, "Attest as ada")
        await page.wait_for_text("document.body.innerText", "Support is informed", "Approve…")
        await page.save_screenshot(pictures / f"console-live-{size[0]}.png")
        await click(page, "Approve…")
        await page.wait_for_text("document.body.innerText", "The evidence", "internal/")
        await page.save_screenshot(pictures / f"console-approve-{size[0]}.png")
        await click(page, "Approve on internal/")
        # The page that follows is the live one: the new step arrives without a reload.
        await page.wait_for_text("document.body.innerText", "50 %", "approve")
        await page.wait_for_text("document.querySelector('.stages .here').innerText", "half")
        overflow = "document.documentElement.scrollWidth - innerWidth"
        assert await page.evaluate(overflow) == 0
        await click(page, "Stop…")
        await page.wait_for_text("document.body.innerText", f"Abort {live.flag}")
        await click(page, f"Abort {live.flag}")
        await page.wait_for_text("document.body.innerText", "0 %", "abort")
    state = await live.rollouts.fetch_state(live.flag)
    assert state.abort is not None
    assert state.abort.actor == "ada"
    assert [record.actor for record in state.entry.approvals] in (["ada"], [])


async def test_approver_comes_from_a_notice_and_needs_three_clicks(
    proven: ProvenConsole, inbox: tuple[JsonInbox, str], tmp_path: Path
) -> None:
    """Bob has no session: the webhook's link leads through his login to the decision it asks for."""
    program, live = chromium(), proven.live
    assert program is not None
    # This worker also sends what the one of an earlier test left.
    while (notice := await inbox[0].next())["alert"] != "approval_needed":
        pass
    async with running_browser(program, tmp_path / "profile") as page:
        await resize(page, PHONE)
        begun = time.monotonic()
        await page.open(notice["link"], "Log in with your organisation")
        await click(page, "Log in with your organisation")
        await page.wait_for_text("document.body.innerText", "bob@example.org")
        await click(page, "bob@example.org")
        shown = await page.wait_for_text("document.body.innerText", "The evidence", "Approve on")
        assert f"Approve on {notice['evidence']} as bob@example.org" in shown
        limit_edge = "document.querySelector('[data-label]').getBoundingClientRect().right"
        assert await page.evaluate(f"{limit_edge} <= innerWidth"), "a phone shows the limits"
        await click(page, "Approve on")
        await page.wait_for_text("document.body.innerText", "Done: approve")
        seconds = time.monotonic() - begun
        (record,) = (await proven.state()).entry.approvals
        assert record.evidence == notice["evidence"]
        assert record.fingerprint.endswith("/bob@example.org")
        attest = Command(actor="ada", item="informed")
        await live.rollouts.send_command(live.flag, Verb.ATTEST, attest)
        await page.wait_for_text("document.querySelector('.headline').innerText", "50 %")
    assert seconds < 60, "an approver decides in under a minute"
