"""Sessions end, tokens work once, buckets refill, and a path stays a path."""

import asyncio
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from sluice.cli.commands.console import preferred_port
from sluice.console.login.oidc import LoginRejectedError, person_of
from sluice.console.services import make_templates
from sluice.console.settings import ConsoleSettingsError, read_settings
from sluice.console.web import forms
from sluice.console.web.forms import FormRejectedError, local_path
from sluice.console.web.login_links import LoginLinks
from sluice.console.web.rate_limits import RateLimiter
from sluice.console.web.sessions import IDLE_MAX, LIFETIME, SESSIONS_MAX, SessionStore
from sluice.console.web.slack_requests import require_slack_signature

NOW = datetime(2026, 11, 30, tzinfo=UTC)
OIDC = {"SLUICE_OIDC_ISSUER": "https://id.example.org", "SLUICE_OIDC_CLIENT_ID": "sluice"}
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
        {"SLUICE_OIDC_ISSUER": "id.example.org"},
        {"SLUICE_OIDC_CLIENT_ID": "", "SLUICE_OIDC_ISSUER": "https://id.example.org"},
        {"SLUICE_OIDC_ROLES": "sre=boss", **OIDC},
        {"SLUICE_OIDC_ROLES": "sre=gateway", **OIDC},
        {"SLUICE_SLACK_PEOPLE": "ada"},
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


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"groups": ["sre", "release"]}, {"operator", "approver"}),
        ({"groups": "sre"}, {"operator"}),
        ({"groups": ["approver", "gateway", 7]}, set()),
        ({}, set()),
        ({"groups": None}, set()),
        ({"groups": 7}, set()),
    ],
)
def test_groups_of_the_provider_give_the_mapped_roles_only(
    claims: dict[str, object], roles: set[str]
) -> None:
    variables = {
        **OIDC,
        "SLUICE_OIDC_ROLES": "sre=operator,release=approver",
        "SLUICE_OIDC_ROLES_CLAIM": "groups",
        "SLUICE_OIDC_NAME_CLAIM": "sub",
    }
    settings = read_settings(variables, ADDRESS, "ada", HOME).oidc
    assert settings is not None
    person = person_of({"sub": "u7", **claims}, settings)
    assert person.name == "u7"
    assert set(person.roles) == roles


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"email": "ada@example.org"},
        {"email": "ada@example.org", "email_verified": "true"},
        {"email": " ada", "email_verified": True},
        {"email": ["ada@example.org"], "email_verified": True},
    ],
)
def test_login_without_a_certain_name_is_refused(claims: dict[str, object]) -> None:
    """An address that the provider has not verified could be anybody's."""
    settings = read_settings(OIDC, ADDRESS, "ada", HOME).oidc
    assert settings is not None
    with pytest.raises(LoginRejectedError):
        person_of(claims, settings)


@pytest.mark.parametrize(
    ("origin", "domain"),
    [
        ("https://sluice.example.org", "sluice.example.org"),
        ("http://localhost:8300", "localhost"),
        ("http://127.0.0.1:8300", ""),
        ("http://sluice.example.org", ""),
        ("https://[::1]:8300", ""),
    ],
)
def test_passkeys_belong_to_a_domain_that_browsers_accept(origin: str, domain: str) -> None:
    settings = read_settings({"SLUICE_CONSOLE_URL": origin}, ADDRESS, "ada", HOME)
    assert settings.relying_party == domain


def test_request_of_slack_is_its_own_and_fresh() -> None:
    """The example of Slack's documentation; a changed body, secret or time is refused."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        b"G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
        b"collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700"
        b"885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c4"
        b"47fce8b6703c"
    )
    secret, at = "8f742231b10e8888abcd99yyyzzz85a5", 1531420618
    digest = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {"x-slack-request-timestamp": str(at), "x-slack-signature": digest}
    assert require_slack_signature(headers, body, secret, at + 299) == digest
    for changed, key, now in ((body + b"x", secret, at), (body, "x", at), (body, secret, at + 301)):
        with pytest.raises(FormRejectedError):
            require_slack_signature(headers, changed, key, now)
    with pytest.raises(FormRejectedError):
        require_slack_signature({}, body, secret, at)


def test_page_shows_no_text_in_another_order() -> None:
    """A flag's name in the store may hold marks that reorder a page; a slash leads nowhere else."""
    template = make_templates().env.from_string(
        "{{ name }}|{{ name | safe }}|{{ path | urlencode }}"
    )
    shown = template.render(name="a\u202eb<", path="a/../b")
    assert shown == r"a\u202eb&lt;|a\u202eb<|a%2F..%2Fb"


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("", 8300),
        ("http://localhost:8399", 8399),
        ("http://127.0.0.1:8398/", 8398),
        ("https://sluice.example.org:8443", 8300),
        ("http://localhost:x", 8300),
    ],
)
def test_console_of_sluice_up_listens_where_its_link_leads(url: str, port: int) -> None:
    assert preferred_port(url) == port
