"""OpenFeature's own providers evaluate and follow flags over OFREP."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from tests.conftest import NO_NODE
from tests.integration.flags.ofrep_server import (
    FULL,
    HALF,
    KILLED,
    LISTED,
    READ_KEY,
    RunningServer,
    running_flags_server,
    wait_for,
)

pytestmark = pytest.mark.integration
NODE_FOLDER = Path(__file__).parents[2] / "node"


@pytest.fixture(scope="module")
def server(
    redis_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    with running_flags_server(redis_server_url, tmp_path_factory.mktemp("flags")) as running:
        yield running


Scenario = tuple[str, str, object, str | None]
SCENARIOS: dict[str, tuple[Scenario, dict[str, object]]] = {
    "resolves a boolean": (("Boolean", FULL, False, "alice"), {"value": True}),
    "resolves details": (
        ("Boolean", FULL, False, "alice"),
        {"value": True, "variant": "treatment", "reason": "SPLIT", "errorCode": None},
    ),
    "resolves without a user": (
        ("Boolean", FULL, False, None),
        {"value": True, "reason": "STATIC"},
    ),
    "resolves by context: a user on the list": (
        ("Boolean", LISTED, False, "alice"),
        {"value": True, "reason": "TARGETING_MATCH"},
    ),
    "resolves by context: another user": (("Boolean", LISTED, True, "bob"), {"value": False}),
    "a killed flag is off": (
        ("Boolean", KILLED, True, "alice"),
        {"value": False, "reason": "DISABLED", "errorCode": None},
    ),
    "flag not found": (
        ("Boolean", "missing-flag", True, "alice"),
        {"value": True, "reason": "ERROR", "errorCode": "FLAG_NOT_FOUND"},
    ),
    "type error: text": (
        ("String", FULL, "fallback", "alice"),
        {"value": "fallback", "reason": "ERROR", "errorCode": "TYPE_MISMATCH"},
    ),
    "type error: number": (
        ("Number", FULL, 13, "alice"),
        {"value": 13, "reason": "ERROR", "errorCode": "TYPE_MISMATCH"},
    ),
    "type error: object": (
        ("Object", FULL, {"a": 1}, "alice"),
        {"value": {"a": 1}, "reason": "ERROR", "errorCode": "TYPE_MISMATCH"},
    ),
    "the user is missing": (
        ("Boolean", HALF, False, None),
        {"value": False, "reason": "ERROR", "errorCode": "TARGETING_KEY_MISSING"},
    ),
}
"""The specification's evaluation scenarios, for flags that are booleans."""


def evaluate_in_python(scenario: Scenario, client: OpenFeatureClient) -> dict[str, object]:
    kind, flag, fallback, user = scenario
    method = {"Number": "float"}.get(kind, kind.lower())
    context = EvaluationContext(targeting_key=user)
    details = getattr(client, f"get_{method}_details")(flag, fallback, context)
    return {
        "value": details.value,
        "reason": details.reason,
        "variant": details.variant,
        "errorCode": details.error_code.value if details.error_code else None,
    }


def check(results: list[dict[str, object]]) -> None:
    wrong = {
        name: result
        for (name, (_, expected)), result in zip(SCENARIOS.items(), results, strict=True)
        if not expected.items() <= result.items()
    }
    assert not wrong


def test_the_python_provider_evaluates(server: RunningServer) -> None:
    provider = OFREPProvider(server.url, headers_factory=lambda: {"X-API-Key": READ_KEY})
    api.set_provider(provider, "ofrep-test")
    client = api.get_client("ofrep-test")
    check([evaluate_in_python(scenario, client) for scenario, _ in SCENARIOS.values()])


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(f"{NO_NODE}: node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for path in NODE_FOLDER.iterdir():
        shutil.copy(path, folder)
    install = [npm, "install", "--no-audit", "--no-fund"]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if installed.returncode:
        pytest.skip(f"{NO_NODE}: npm install failed: {installed.stderr[-200:]}")
    return folder


def test_the_javascript_provider_evaluates(server: RunningServer, node_folder: Path) -> None:
    scenarios = json.dumps([scenario for scenario, _ in SCENARIOS.values()])
    command = ["node", "ofrep_client.mjs", server.url, READ_KEY, scenarios]
    check(json.loads(subprocess.check_output(command, cwd=node_folder)))  # noqa: S603  ours


def test_a_rollback_reaches_the_javascript_web_provider(
    server: RunningServer, node_folder: Path
) -> None:
    """By the event stream: the provider does not poll, and keeps its answers in memory."""
    command = ["node", "ofrep_web_client.mjs", server.url, READ_KEY, FULL, "alice"]
    with subprocess.Popen(  # noqa: S603  ours
        command, cwd=node_folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["value"] is True
        wait_for(lambda: server.metric("sluice_flag_streams") == 1)
        server.write(full=0)
        written_at = time.time()
        try:
            change = json.loads(process.stdout.readline())
        finally:
            process.terminate()
            server.write(full=100)
    assert (change["value"], change["at"] - written_at < 1.0) == (False, True)
