"""A person with a browser: desktop and phone, light and dark, with nothing but clicks and typing."""

from pathlib import Path

import pytest

from tests.conftest import screenshot_folder
from tests.integration.cli.browser import BrowserPage, chromium, running_browser
from tests.integration.console.consoles import LiveConsole

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
