"""Every page on a phone, in light and dark: axe-core finds no violation, and nothing overflows."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.conftest import NO_NODE
from tests.integration.cli.browser import BrowserPage, chromium, running_browser
from tests.integration.console.consoles import LiveConsole
from tests.integration.console.test_browser import PHONE, resize

AXE = "axe-core@4.14.1"
PAGES = ("", "/explain", "/whatif", "/plan", "/report", "/decide/approve", "/decide/rollback")
DARK_PAGES = ("/flags", "/stop", "/decide/approve", "/whatif")
RUN = """(() => {
    window.axeResult = "";
    axe.run({resultTypes: ["violations"]}).then(({violations}) => {
        const found = violations.map(({id, nodes}) => `${id}: ${nodes.map((n) => n.html).join(" ")}`);
        window.axeResult = JSON.stringify({found, passed: true});
    }, (error) => { window.axeResult = JSON.stringify({found: [String(error)], passed: true}); });
})()"""
WIDEST_TABLE = """Math.max(0, ...[...document.querySelectorAll(".scroll")].map(
    (table) => table.scrollWidth - table.clientWidth))"""
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(chromium() is None, reason="NO CHROMIUM: apt-get install chromium"),
]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fetch axe-core from npm; its text is run in the page."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip(f"{NO_NODE}: npm is not installed")
    packed = subprocess.run(  # noqa: S603  our own arguments
        [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, check=False
    )
    if packed.returncode != 0:
        pytest.skip(f"{NO_NODE}: npm pack failed: {packed.stderr[-200:]}")
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


async def violations(page: BrowserPage, axe: str) -> list[str]:
    await page.evaluate(axe)
    await page.evaluate(RUN)
    result = await page.wait_for_text("window.axeResult", "passed")
    found: list[str] = json.loads(result)["found"]
    return found


async def test_pages_are_accessible_and_fit_a_phone(
    live: LiveConsole, axe: str, tmp_path: Path
) -> None:
    """Contrast, names, roles and headings by axe-core; 360 px wide without a sideways scroll."""
    program = chromium()
    assert program is not None
    paths = ["/", "/flags", "/stop", "/passkeys"]
    paths += [f"/rollouts/{live.flag}{part}" for part in PAGES]
    problems: list[str] = []
    async with running_browser(program, tmp_path / "profile") as page:
        await resize(page, PHONE)
        await page.open(f"{live.url}/login", "Log in")
        problems += [f"/login: {text}" for text in await violations(page, axe)]
        await page.open(live.login_url(), "Rollouts", live.flag)
        await page.open(f"{live.url}/rollouts/{live.flag}", "1 more approval needed")
        for path in paths:
            await page.open(f"{live.url}{path}", "Log out")
            overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            problems += [f"{path}: {overflow} px too wide"] if overflow else []
            hidden = await page.evaluate(WIDEST_TABLE)
            problems += [f"{path}: a table scrolls {hidden} px sideways"] if hidden else []
            for scheme in ("light", "dark") if path.endswith(DARK_PAGES) else ("light",):
                feature = {"name": "prefers-color-scheme", "value": scheme}
                await page.send_command("Emulation.setEmulatedMedia", features=[feature])
                found = await violations(page, axe)
                problems += [f"{path} in {scheme}: {text}" for text in found]
    assert problems == []
