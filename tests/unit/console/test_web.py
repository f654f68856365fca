"""Sessions end, tokens work once, buckets refill, and a path stays a path."""

import asyncio
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from sluice.console.settings import ConsoleSettingsError, read_settings
from sluice.console.web import forms
from sluice.console.web.forms import local_path
from sluice.console.web.login_links import LoginLinks
from sluice.console.web.rate_limits import RateLimiter
from sluice.console.web.sessions import IDLE_MAX, LIFETIME, SESSIONS_MAX, SessionStore

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ADDRESS = ("127.0.0.1", 8300)
HOME = Path("home")


async def test_a_form_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(forms, "BODY_SECONDS_MAX", 0.01)
    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(forms.FormRejectedError, match="took longer than"):
        await forms.read_body(request, 100)


def test_session_ends_when_idle_and_after_its_lifetime() -> None:
    """A tab that stays open does not keep its login."""
    store = SessionStore()
    idle = store.create("ada", "link", frozenset(), NOW)
    assert store.find(idle.id, NOW + IDLE_MAX) is not None
    assert store.find(idle.id, NOW + 2 * IDLE_MAX + timedelta(seconds=1)) is None
    busy, at = store.create("ada", "link", frozenset(), NOW), NOW
    while at <= NOW + LIFETIME:
        assert store.find(busy.id, at) is not None
        at += timedelta(hours=1)
    assert store.find(busy.id, at) is None


def test_sessions_are_bounded_and_differ() -> None:
    store = SessionStore()
    sessions = [store.create("ada", "link", frozenset(), NOW) for _ in range(SESSIONS_MAX + 1)]
    assert store.find(sessions[0].id, NOW) is None
    assert store.find(sessions[-1].id, NOW) is not None
    assert len({one.csrf_token for one in sessions}) == len(sessions)


def test_login_link_works_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "console" / "login-url"
    links = LoginLinks(path, "http://127.0.0.1:8300")
    token = links.url().partition("token=")[2].partition("&")[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="ascii") == f"http://127.0.0.1:8300/login/link?token={token}"
    assert not links.redeem("")
    assert links.redeem(token)
    assert not links.redeem(token)
    assert token not in links.url()


def test_login_link_follows_the_address(tmp_path: Path) -> None:
    """After a restart on another port the file must not lead to the old one."""
    LoginLinks(tmp_path / "url", "http://127.0.0.1:8300").url()
    links = LoginLinks(tmp_path / "url", "http://127.0.0.1:9000")
    assert links.url().startswith("http://127.0.0.1:9000/login/link?token=")
    assert (tmp_path / "url").read_text(encoding="ascii").startswith("http://127.0.0.1:9000/")


def test_bucket_refills() -> None:
    limiter = RateLimiter(burst=2, per_second=1)
    assert [limiter.allow("a", 0), limiter.allow("a", 0), limiter.allow("a", 0)] == [
        True,
        True,
        False,
    ]
    assert limiter.allow("b", 0)
    assert limiter.allow("a", 1.1)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/rollouts/one?evidence=a%2F1", "/rollouts/one?evidence=a%2F1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
    ],
)
def test_only_own_paths_are_followed(target: str, path: str) -> None:
    assert local_path(target) == path


@pytest.mark.parametrize(
    "environment",
    [
        {"SLUICE_CONSOLE_URL": "sluice.example.org"},
        {"SLUICE_CONSOLE_URL": "https://example.org/sluice"},
    ],
)
def test_setting_that_cannot_work_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ConsoleSettingsError, match=next(iter(environment))):
        read_settings(environment, ADDRESS, "ada", HOME)


def test_https_binds_the_cookie_to_the_host() -> None:
    settings = read_settings(
        {"SLUICE_CONSOLE_URL": "https://sluice.example.org"}, ADDRESS, "ada", HOME
    )
    assert settings.cookie_name == "__Host-sluice"
