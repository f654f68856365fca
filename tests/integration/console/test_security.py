"""Attacks on the console over HTTP: each must fail, and say why."""

import asyncio
import html
import os
import re

import httpx
import pytest

from sluice.console.pages import rollout as rollout_page
from sluice.rollout.engine.commands import Command, Verb
from tests.fuzzing import form_bodies, fuzz
from tests.integration.console.consoles import LiveConsole, RunningConsole
from tests.integration.console.test_pages import form_of, wait_for

pytestmark = pytest.mark.integration
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def paused(live: LiveConsole) -> bool:
    return (await live.rollouts.fetch_state(live.flag)).pause is not None


async def test_nothing_is_shown_or_done_without_login(live: LiveConsole) -> None:
    """Pages lead to the login, which leads back; posts and streams are refused."""
    async with live.browser() as client:
        for path in ("/", "/flags", "/stop", f"/rollouts/{live.flag}/explain"):
            answer = await client.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/login?next=%2F")
            assert live.flag not in answer.text
        assert (await client.get(f"/rollouts/{live.flag}/events")).status_code == 401
        sent = await client.post(f"/rollouts/{live.flag}/decide/pause", data={"csrf": "x"})
        assert sent.status_code == 401
    assert not await paused(live)


async def test_form_of_another_site_is_refused(live: LiveConsole) -> None:
    """CSRF: a foreign origin, a foreign fetch, a missing or a stranger's token decide nothing."""
    async with live.logged_in() as client, live.logged_in() as stranger:
        path = f"/rollouts/{live.flag}/decide/pause"
        await wait_for(live, client, "Pause…")
        mine = form_of((await client.get(path)).text)
        theirs = form_of((await stranger.get(path)).text)
        attempts: list[tuple[dict[str, str], dict[str, str]]] = [
            (mine, {"origin": "https://evil.example"}),
            (mine, {"origin": "null"}),
            (mine, {"sec-fetch-site": "cross-site"}),
            ({**mine, "csrf": ""}, {}),
            ({**mine, "csrf": theirs["csrf"]}, {}),
        ]
        for form, headers in attempts:
            sent = await client.post(path, data=form, headers=headers)
            assert sent.status_code == 403, (form, headers)
        json = {"content-type": "text/plain"}
        assert (await client.post(path, content="csrf=1", headers=json)).status_code == 403
    assert not await paused(live)


async def test_actor_cannot_be_forged_over_http(live: LiveConsole) -> None:
    """The session's person decides, whatever the form says."""
    async with live.logged_in() as client:
        await wait_for(live, client, "Pause…")
        path = f"/rollouts/{live.flag}/decide/pause"
        form = form_of((await client.get(path)).text, actor="grace", by="grace")
        assert (await client.post(path, data=form)).status_code == 303
    events = (await live.rollouts.fetch_state(live.flag)).timeline
    assert [event.actor for event in events if event.kind == "pause"][-1] == "ada"


async def test_login_link_works_once_and_gives_a_new_session(console: RunningConsole) -> None:
    """A link that somebody finds later is worthless; a cookie from before the login too."""
    link = console.login_url()
    async with console.browser() as client:
        client.cookies.set("sluice", "chosen-by-an-attacker")
        first = await client.get(link)
        assert first.status_code == 303
        assert "chosen-by-an-attacker" not in first.headers["set-cookie"]
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
    async with console.browser() as thief:
        assert (await thief.get(link)).status_code == 403
        assert (await thief.get("/login/link?token=")).status_code == 403
        thief.cookies.set("sluice", "chosen-by-an-attacker")
        assert (await thief.get("/")).status_code == 303


async def test_logged_out_session_is_dead(console: RunningConsole) -> None:
    async with console.logged_in() as client:
        cookie = client.cookies["sluice"]
        page = (await client.get("/flags")).text
        assert (await client.post("/logout", data=form_of(page))).status_code == 303
        client.cookies.set("sluice", cookie)
        assert (await client.get("/flags")).status_code == 303


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_login_leads_nowhere_else(target: str, console: RunningConsole) -> None:
    """Open redirect: whatever the link asks for, the answer stays on this console."""
    async with console.browser() as client:
        answer = await client.get(console.login_url(target))
        assert answer.headers["location"] == "/"


async def test_guessing_login_links_is_slowed_down(console: RunningConsole) -> None:
    async with console.browser() as client:
        codes = [(await client.get("/login/link?token=guess")).status_code for _ in range(15)]
    assert codes[0] == 403
    assert codes[-1] == 429


async def test_markup_in_stored_text_is_shown_as_text(live: LiveConsole) -> None:
    """Every page shows plan titles, reasons, notes and actors escaped, also in live fragments."""
    bomb = "<img src=x onerror=alert(1)>"
    async with live.logged_in() as client:
        await wait_for(live, client, "more approval needed")
        by = Command(actor=f"eve {bomb}", reason=bomb, item="informed")
        await live.rollouts.send_command(live.flag, Verb.ATTEST, by)
        await live.rollouts.send_command(live.flag, Verb.PAUSE, by)
        await wait_for(live, client, html.escape(bomb))
        paths = [f"/rollouts/{live.flag}{part}" for part in ("", "/explain", "/plan", "/report")]
        paths += [f"/rollouts/{live.flag}/decide/approve?evidence={bomb}", f"/?search={bomb}"]
        paths += [f"/stop?flag={bomb}", "/flags", f"/rollouts/{bomb}", f"/login?next={bomb}"]
        for path in paths:
            text = (await client.get(path)).text
            assert "<img" not in text, path
            assert "<script>" not in text, path
            assert "<b>users" not in text, path
        async with client.stream("GET", f"/rollouts/{live.flag}/events") as stream:
            assert "<img" not in await _first_fragments(stream)


async def test_an_open_page_ends_with_its_session(
    live: LiveConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the logout nothing more is sent; one session cannot open streams without end."""
    monkeypatch.setattr(rollout_page, "STREAMS_MAX", 1)
    path = f"/rollouts/{live.flag}/events"
    async with live.logged_in() as client:
        await wait_for(live, client, "Pause…")
        session_id = client.cookies["sluice"]
        async with client.stream("GET", path) as stream:
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith("retry:")
            assert (await client.get(path)).status_code == 429
            live.services.sessions.end(session_id)
            by = Command(actor="eve", reason="after the logout")
            await live.rollouts.send_command(live.flag, Verb.PAUSE, by)
            rest = [line async for line in lines]
    assert not [line for line in rest if "after the logout" in line]
    assert live.services.streams == {}


async def _first_fragments(stream: httpx.Response, count: int = 5) -> str:
    lines: list[str] = []
    async for line in stream.aiter_lines():
        lines.append(line)
        if sum(one.startswith("data:") for one in lines) == count:
            break
    return "\n".join(lines)


async def test_pages_hold_no_secret_and_no_store_address(
    live: LiveConsole,
) -> None:
    """A page can be shared: it holds no DSN, password or login token."""
    secrets = [live.environment["REDIS_URL"], live.environment["TEMPORAL_ADDRESS"]]
    secrets += re.findall(r"://([^@]+)@([^/]+)/", live.environment["POSTGRES_DSN"])[0]
    secrets.append(live.login_url().partition("token=")[2].partition("&")[0])
    async with live.logged_in() as client:
        for path in ("/", "/flags", "/stop", f"/rollouts/{live.flag}", "/rollouts/absent"):
            answer = await client.get(path)
            assert not [one for one in secrets if one in answer.text], path
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert " style=" not in answer.text
            assert not re.search(r"<script(?! src=)|\son\w+=", answer.text)


async def test_errors_of_stores_that_are_away_hold_no_address(console: RunningConsole) -> None:
    """Without any store every page still answers, says what is missing, and names no address."""
    addresses = [console.environment[name] for name in ("REDIS_URL", "TEMPORAL_ADDRESS")]
    async with console.logged_in() as client:
        pages = {path: await client.get(path) for path in ("/", "/flags", "/stop", "/rollouts/one")}
        page = (await client.get("/stop?flag=one")).text
        pages["kill"] = await client.post("/flags/one/kill", data=form_of(page))
        pages["explain"] = await client.get("/rollouts/one/explain")
    for path, answer in pages.items():
        assert not [one for one in (*addresses, "secret") if one in answer.text], path
    assert "Temporal or its worker does not answer" in pages["/"].text
    assert "Redis" in pages["/flags"].text
    assert pages["/stop"].status_code == 200
    assert pages["/rollouts/one"].status_code == 503
    assert "was not killed" in pages["kill"].text
    assert "Postgres" in pages["explain"].text


async def test_answer_that_is_nested_without_an_end_is_refused(console: RunningConsole) -> None:
    """JSON and CBOR of a browser are read by recursion; nobody needs a session to send them."""
    answers = ["[" * 30_000, '{"id":' * 5_000, '{"id":' + "[" * 20_000]
    async with console.logged_in() as client:
        for answer in answers:
            await client.post("/login/passkey/options", data={"next": "/"})
            sent = await client.post("/login/passkey", content=f"answer={answer}", headers=FORM)
            assert sent.status_code == 403
        page = form_of((await client.get("/stop")).text)
        for answer in answers:
            await client.post("/passkeys/options", data=page)
            body = f"csrf={page['csrf']}&answer={answer}"
            assert (await client.post("/passkeys", content=body, headers=FORM)).status_code == 403


async def test_no_form_breaks_the_console(live: LiveConsole) -> None:
    """Neither a form of a person who is logged in, nor the address to go to after a login."""
    async with live.logged_in() as client:
        await wait_for(live, client, "Pause…")
        path = f"/rollouts/{live.flag}/decide/pause"
        form = form_of((await client.get(path)).text, reason="slow")
        cookies = dict(client.cookies)

    def send(body: bytes) -> httpx.Response:
        with httpx.Client(base_url=live.url, cookies=cookies, trust_env=False, timeout=60) as http:
            target = body[:400].decode("latin-1")
            login = http.get("/login", params={"next": f"//{target}"})
            assert login.status_code == 200, target
            return http.post(path, content=body, headers=FORM)

    assert await asyncio.to_thread(fuzz, send, form_bodies(form), os.getpid())


@pytest.mark.parametrize("target", ["//[", "http://[::1", "/\\evil", "//evil", "/a\nb"])
async def test_a_target_that_is_no_path_leads_to_the_start_page(
    console: RunningConsole, target: str
) -> None:
    async with console.browser() as client:
        answer = await client.get(console.login_url(target))
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
