"""Decisions in the console that prove who made them: a real OpenID provider, real passkeys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from sluice.identity import parse_keyring
from sluice.identity.audit import audit_decisions
from tests.integration.cli.browser import BrowserPage, chromium, running_browser
from tests.integration.console.consoles import (
    LiveConsole,
    ProvenConsole,
    RunningConsole,
    running_console,
)
from tests.integration.console.test_browser import PHONE, click, resize
from tests.integration.console.test_pages import form_of, wait_for

pytestmark = pytest.mark.integration


async def log_in(client: httpx.AsyncClient, name: str, path: str = "/") -> httpx.Response:
    """Go to the provider, log in there, and come back; returns the callback's answer."""
    sent = await client.get("/login/oidc", params={"next": path})
    back = await client.post(sent.headers["location"], data={"sub": name})
    return await client.get(back.headers["location"])


@asynccontextmanager
async def logged_in(console: RunningConsole, name: str) -> AsyncIterator[httpx.AsyncClient]:
    async with console.browser() as client:
        answer = await log_in(client, name)
        assert answer.status_code == 303, answer.text
        yield client


async def decide(live: LiveConsole, client: httpx.AsyncClient, verb: str, query: str = "") -> str:
    """Send the page's form, also where the page offers none; returns a refusal's text."""
    path = f"/rollouts/{live.flag}/decide/{verb}"
    page = (await client.get(f"{path}{query}")).text
    newest = (await live.rollouts.fetch_state(live.flag)).checks.latest
    evidence = newest.id if newest and verb == "approve" else ""
    sent = await client.post(path, data=form_of(page, reason="fine by me", evidence=evidence))
    return "" if sent.status_code == 303 else sent.text


async def test_login_by_provider_gives_name_and_roles_of_its_claims(
    login_folder: None, oidc: dict[str, str]
) -> None:
    """An unverified e-mail, a foreign browser, a replayed answer: nobody is logged in."""
    async with running_console({**oidc, "SLUICE_ACTOR": "ada"}) as console:
        async with console.browser() as client:
            answer = await log_in(client, "bob@example.org", "/flags")
            assert answer.headers["location"] == "/flags"
            session = console.services.sessions.find(
                client.cookies["sluice"], console.services.now()
            )
            assert session is not None
            assert session.actor == "bob@example.org"
            assert session.roles == {"approver"}, "a login is never a gateway"
            assert (await client.get(answer.request.url)).status_code == 403
        async with console.browser() as client:
            assert "does not confirm" in (await log_in(client, "eve@example.org")).text
            assert "sluice" not in client.cookies
        async with console.browser() as client, console.browser() as victim:
            sent = await client.get("/login/oidc")
            back = await client.post(sent.headers["location"], data={"sub": "bob@example.org"})
            assert (await victim.get(back.headers["location"])).status_code == 403
            forged = back.headers["location"].replace("state=", "state=x")
            assert (await client.get(forged)).status_code == 403
            await client.get("/login/oidc")
            sent = await client.post("/login/passkey", data={"answer": "{}", "next": "/"})
            assert sent.status_code == 403, "a login begun at the provider ends there"
            evil = await log_in(client, "bob@example.org", "//evil.example")
            assert evil.headers["location"] == "/"


@pytest.mark.skipif(chromium() is None, reason="NO CHROMIUM: apt-get install chromium")
async def test_console_decisions_are_proven_to_the_worker(
    proven: ProvenConsole, tmp_path: Path
) -> None:
    """Ada's SSH key attests, bob's login is vouched for, carol's passkey signs; nothing else counts."""
    live = proven.live
    async with live.logged_in() as ada:
        await wait_for(live, ada, "1 more approval needed")
        assert await decide(live, ada, "attest", "?item=informed") == ""
        assert "ada may not approve" in await decide(live, ada, "approve")
        shown = (await ada.get(f"/rollouts/{live.flag}/decide/approve")).text
        assert "ada started the rollout and may not approve it" in shown
        assert "as ada</button>" not in shown, "a button that can only be refused"
    async with logged_in(live, "vic@example.org") as vic:
        assert "vic@example.org may not approve" in await decide(live, vic, "approve")
        assert await decide(live, vic, "pause") == "", "everybody may lower"
    async with logged_in(live, "bob@example.org") as bob:
        assert "bob@example.org may not resume" in await decide(live, bob, "resume")
    program = chromium()
    assert program is not None
    async with running_browser(program, tmp_path / "profile") as page:
        await resize(page, PHONE)
        await add_passkey(page, live)
        line = str(await page.evaluate("document.querySelector('textarea').value"))
        await click(page, "Log out")
        await page.wait_for_text("document.body.innerText", "Log in with a passkey")
        await log_in_by_passkey(page, live, "resume")
        await click(page, "Resume as carol@example.org, signed")
        await page.wait_for_text("document.body.innerText", "is not in the keyring")
        proven.add(line.replace("roles=approver", "roles=operator"))
        await click(page, "Resume as carol@example.org, signed")
        await page.wait_for_text("document.body.innerText", "Progressing")
    async with logged_in(live, "bob@example.org") as bob:
        await wait_for(live, bob, "Progressing")
        assert await decide(live, bob, "approve") == ""
    state = await proven.state()
    decisions = audit_decisions(
        state.timeline, state.rollout_id, parse_keyring(proven.keyring.read_text())
    )
    proofs = {one.kind: one.fingerprint for one in decisions}
    assert {"start", "attest", "pause", "resume", "approve"} <= proofs.keys()
    assert proofs["pause"] == ""
    assert proofs["approve"].endswith("/bob@example.org")
    assert len(set(proofs.values())) == 4, "ada, nobody, carol and bob"


async def add_passkey(page: BrowserPage, live: LiveConsole) -> None:
    """Log carol in by the provider, and let the browser's virtual authenticator make a passkey."""
    await page.send_command("WebAuthn.enable")
    authenticator = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await page.send_command("WebAuthn.addVirtualAuthenticator", options=authenticator)
    await page.open(f"{live.url}/login?next=/passkeys", "Log in with your organisation")
    await click(page, "Log in with your organisation")
    await page.wait_for_text("document.body.innerText", "carol@example.org")
    await click(page, "carol@example.org")
    await page.wait_for_text("document.body.innerText", "Passkeys of carol@example.org")
    await click(page, "Add a passkey")
    await page.wait_for_text("document.body.innerText", "is added")


async def log_in_by_passkey(page: BrowserPage, live: LiveConsole, verb: str) -> None:
    """Open a decision's link without a session; the passkey's login leads back to it."""
    await page.open(f"{live.url}/rollouts/{live.flag}/decide/{verb}", "Log in with a passkey")
    await click(page, "Log in with a passkey")
    await page.wait_for_text("document.body.innerText", "signed with your passkey")
