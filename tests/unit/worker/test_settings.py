"""The worker's settings: a mistake names its variable, and the documented defaults are true."""

import asyncio
import re
from pathlib import Path

import pytest

from sluice.worker import temporal_client
from sluice.worker.options import worker_options
from sluice.worker.settings import VARIABLES, WorkerSettings, WorkerSettingsError
from sluice.worker.telemetry import build_runtime, start_tracing
from sluice.worker.temporal_client import TemporalUnreachableError, open_client

DOCUMENTED = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()


def test_what_is_not_set_or_empty_has_its_default() -> None:
    assert WorkerSettings.read({"REDIS_URL": "", "UNRELATED": "x"}) == WorkerSettings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SLUICE_WORKER_ACTIVITIES_MAX", "many"),
        ("SLUICE_WORKER_WORKFLOW_TASKS_MAX", "1"),
        ("SLUICE_WORKER_DRAIN_SECONDS", "-1"),
        ("SLUICE_WORKER_HEALTH_ADDRESS", "8081"),
        ("SLUICE_WORKER_DEPLOYMENT", "a b"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(WorkerSettingsError, match=f"{variable}='{value}'"):
        WorkerSettings.read({variable: value})


@pytest.mark.parametrize("field", [f for f in VARIABLES if VARIABLES[f].startswith("SLUICE_W")])
def test_documented_defaults_are_true(field: str) -> None:
    row = re.search(rf"^\| `{VARIABLES[field]}` \| ([^|]+) \|", DOCUMENTED, re.MULTILINE)
    assert row is not None
    default = getattr(WorkerSettings(), field)
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    assert row[1] == (f"`{shown}`" if shown else "none")


def test_settings_reach_the_worker() -> None:
    settings = WorkerSettings.read(
        {"SLUICE_WORKER_CACHED_WORKFLOWS_MAX": "7", "SLUICE_WORKER_BUILD_ID": "v2"}
    )
    options = worker_options(settings)
    assert options["max_cached_workflows"] == 7
    version = options["deployment_config"].version
    assert (version.deployment_name, version.build_id) == ("sluice", "v2")
    assert worker_options(WorkerSettings())["deployment_config"] is None


def test_without_an_address_no_telemetry_is_sent() -> None:
    assert build_runtime(WorkerSettings()) is None
    assert start_tracing(WorkerSettings()).interceptors == ()


def test_an_otlp_endpoint_switches_tracing_on() -> None:
    traces = start_tracing(WorkerSettings(otlp_endpoint="http://127.0.0.1:9"))
    assert len(traces.interceptors) == 1
    traces.close()


async def test_a_temporal_that_is_away_is_waited_for_and_named_with_the_setting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker may start before Temporal answers; SIGTERM (``stop``) ends the wait."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    monkeypatch.setattr(temporal_client, "RETRY_SECONDS", 0.02)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, stop.set)
    with pytest.raises(
        TemporalUnreachableError, match=r"127\.0\.0\.1:9: start it .* TEMPORAL_ADDRESS"
    ):
        async with open_client(WorkerSettings(), stop):
            pass
    assert "waiting: Temporal does not answer at 127.0.0.1:9" in caplog.text
