"""Consoles on real servers, a keyring at the worker, and a real OpenID provider."""

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL

import httpx
import pytest

from sluice.console.login.console_key import gateway_line, load_console_key
from sluice.identity.signing import SshKeygenSigner
from sluice.rollout.engine.commands import Command
from tests.free_port import free_port
from tests.integration.console.consoles import (
    SLACK_SECRET,
    JsonInbox,
    LiveConsole,
    ProvenConsole,
    RunningConsole,
    live_console,
    running_console,
)
from tests.unit.identity.ssh_fixtures import keyring_line, make_key

PEOPLE: dict[str, dict[str, object]] = {
    "bob@example.org": {"roles": ["approver", "gateway"]},
    "carol@example.org": {"roles": ["approver", "operator"]},
    "vic@example.org": {"roles": []},
    "eve@example.org": {"roles": ["approver"], "email": "bob@example.org", "email_verified": False},
}


@pytest.fixture
def login_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the login token out of the working folder's own stack."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))


@pytest.fixture
async def console(login_folder: None) -> AsyncIterator[RunningConsole]:
    """Run a console without stores: nothing listens at their addresses."""
    port = free_port()
    away = {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "REDIS_URL": f"redis://:secret@127.0.0.1:{port}/0",
        "POSTGRES_DSN": f"postgresql://sluice:secret@127.0.0.1:{port}/postgres",
        "SLUICE_ACTOR": "ada",
    }
    async with running_console(away) as running:
        yield running


@pytest.fixture
def stores(temporal_address: str, redis_url: str, postgres_dsn: str) -> dict[str, str]:
    """Return the addresses of real servers."""
    return {
        "TEMPORAL_ADDRESS": temporal_address,
        "REDIS_URL": redis_url,
        "POSTGRES_DSN": postgres_dsn,
        "SLUICE_ENVIRONMENT": "console",
    }


@pytest.fixture
async def live(login_folder: None, stores: dict[str, str]) -> AsyncIterator[LiveConsole]:
    """Run a console on real servers with one running rollout."""
    async with live_console({**stores, "SLUICE_ACTOR": "ada"}) as running:
        await running.start()
        yield running


@pytest.fixture(scope="session")
def issuer() -> Iterator[str]:
    """Run an OpenID provider; anybody may log in there by name."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for name, claims in PEOPLE.items():
        person = {"sub": name, "email": name, "email_verified": True, **claims}
        command += ["--user-claims", json.dumps(person)]
    # Its warnings about Authlib would be errors in this process.
    with subprocess.Popen(command, stdout=DEVNULL, stderr=DEVNULL) as process:  # noqa: S603  our own arguments
        try:
            yield _await_provider(f"http://localhost:{port}")
        finally:
            process.terminate()


def _await_provider(url: str) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            httpx.get(f"{url}/.well-known/openid-configuration", trust_env=False)
            return url
        time.sleep(0.1)
    raise AssertionError(f"no OpenID provider at {url}")


@pytest.fixture
def oidc(issuer: str) -> dict[str, str]:
    return {
        "SLUICE_OIDC_ISSUER": issuer,
        "SLUICE_OIDC_CLIENT_ID": "sluice",
        "SLUICE_OIDC_CLIENT_SECRET": "a secret",
    }


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[JsonInbox, str]]:
    """Run the receiver of the worker's webhook; gives its address too."""
    receiver = JsonInbox()
    async with receiver.serving() as url:
        yield receiver, url


@pytest.fixture
async def proven(
    login_folder: None,
    stores: dict[str, str],
    oidc: dict[str, str],
    tmp_path: Path,
    inbox: tuple[JsonInbox, str],
) -> AsyncIterator[ProvenConsole]:
    key, keyring = make_key(tmp_path, "ada"), tmp_path / "keyring"
    console_key = tmp_path / "console-key"
    gateway = f"{gateway_line(load_console_key(console_key))},approver"
    keyring.write_text(f"{keyring_line('ada', key, 'operator')}\n{gateway}\n")
    environment = {
        **stores,
        "SLUICE_KEYRING": str(keyring),
        "SLUICE_CONSOLE_KEY": str(console_key),
        "SLUICE_SIGNING_KEY": str(key),
        "SLUICE_ACTOR": "ada",
        "SLUICE_SLACK_SIGNING_SECRET": SLACK_SECRET,
        "SLUICE_SLACK_PEOPLE": "UBOB=bob@example.org",
        "SLUICE_WEBHOOK_URL": inbox[1],
        "SLUICE_WEBHOOK_SECRET": "a webhook's secret",
        **oidc,
    }
    async with live_console(environment, SshKeygenSigner(key)) as live:
        await live.start(Command(actor="ada", reason="release 12"))
        yield ProvenConsole(live, keyring)
