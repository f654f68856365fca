"""``sluice flags`` on a real Redis, with a router process that serves what was written."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from sluice.cli import main
from sluice.cli.errors import Exit
from sluice.flags import FeatureFlags, FlagReader, WriteMetadata
from sluice.flags.redis.process_registry import heartbeat
from tests.integration.flags.flags_endpoint import FlagsEndpoint

pytestmark = pytest.mark.integration
FLAG = "phase4_online_learning"
Sluice = Callable[..., int]


@pytest.fixture
def sluice(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Sluice:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("SLUICE_ACTOR", "alice")

    def call(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sluice", "flags", *words])
        return main._run()

    return call


@pytest.fixture
def router(redis_url: str) -> Iterator[FlagReader]:
    """One live router process, announced as a router announces itself."""
    reader = FlagReader(redis_url)
    reader.start()
    assert reader.wait_ready(5.0)
    process = FlagsEndpoint("router-1", reader)

    async def report() -> None:
        async with Redis.from_url(redis_url) as redis:
            await heartbeat(redis, "default", process.as_router_process())

    stopping = threading.Event()

    def report_until_stopped() -> None:
        while not stopping.wait(0.5):
            asyncio.run(report())

    asyncio.run(report())
    reporting = threading.Thread(target=report_until_stopped)
    reporting.start()
    yield reader
    stopping.set()
    reporting.join()
    process.stop()
    reader.stop()


def printed(capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - any JSON document
    return json.loads(capsys.readouterr().out)


def test_a_flag_from_creation_to_its_history(
    sluice: Sluice, router: FlagReader, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sluice("create", FLAG, "--description", "[red] text", "-m", "first") == Exit.OK
    assert sluice("set", FLAG, "25%", "--reason", "early adopters") == Exit.OK
    assert "1 of 1 processes have it" in capsys.readouterr().out
    assert router.snapshot().flags[FLAG].rollout_percentage == 25
    assert sluice("whitelist", FLAG, "bob", "carol") == Exit.OK
    assert sluice("whitelist", FLAG, "--remove", "bob") == Exit.OK
    assert sluice("kill", FLAG, "-m", "errors", "--json") == Exit.OK
    killed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (killed["killed"], killed["rollout_percentage"]) == (True, 0)
    assert killed["processes"]["confirmed"] == ["router-1"]
    assert not router.evaluate(FLAG, "carol").enabled
    assert sluice("unkill", FLAG) == Exit.OK
    capsys.readouterr()
    assert sluice("history", FLAG, "--json") == Exit.OK
    entries = printed(capsys)
    assert [entry["action"] for entry in entries] == [
        "unkill", "kill", "whitelist", "whitelist", "percentage", "create",
    ]  # fmt: skip
    raised = entries[4]
    assert (raised["actor"], raised["reason"]) == ("alice", "early adopters")
    assert (raised["before"], raised["after"]) == (
        {"rollout_percentage": 0.0, "confirmed": True},
        {"rollout_percentage": 25.0, "confirmed": True},
    )
    assert sluice("history", FLAG) == Exit.OK
    table = capsys.readouterr().out
    assert "errors" in table
    assert "25 %" in table


def test_show_says_what_a_user_gets_and_what_each_process_serves(
    sluice: Sluice, router: FlagReader, capsys: pytest.CaptureFixture[str]
) -> None:
    sluice("create", FLAG, "--percentage", "50")
    capsys.readouterr()
    for user, variant in (("user_alice", "control"), ("user_charlie", "treatment")):
        assert sluice("show", FLAG, "--user", user, "--json") == Exit.OK
        shown = printed(capsys)
        assert shown["user"]["variant"] == variant
        assert (shown["user"]["treated_above_percentage"] < 50) is (variant == "treatment")
        assert shown["processes"][0]["seen"]["flags"][FLAG]["rollout_percentage"] == 50
    assert sluice("show", FLAG, "--user", "user_charlie") == Exit.OK
    assert "user_charlie: treatment (SPLIT)" in capsys.readouterr().out
    assert sluice("list", "--json") == Exit.OK
    assert [flag["state"] for flag in printed(capsys)["flags"]] == ["on"]
    assert sluice("list") == Exit.OK
    assert "50" in capsys.readouterr().out


@pytest.mark.parametrize(
    "percentage", ["-1", "101", "nan", "inf", "True", "5.555", "1e1", "", "5 users"]
)
def test_a_wrong_percentage_writes_nothing(
    sluice: Sluice, capsys: pytest.CaptureFixture[str], percentage: str
) -> None:
    sluice("create", FLAG)
    assert sluice("set", FLAG, percentage) == Exit.USAGE
    assert "rollout_percentage" in capsys.readouterr().err
    sluice("history", FLAG, "--json")
    assert [entry["action"] for entry in printed(capsys)] == ["create"]


def test_phases_are_shown_set_and_released(
    sluice: Sluice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sluice("phases", "enable_online_learning=on") == Exit.OK
    assert "enable_online_learning on; they belong to no flag" in capsys.readouterr().out
    assert sluice("phases", "enable_online_learning=maybe") == Exit.USAGE
    assert sluice("phases", "enable_phase_9=on") == Exit.USAGE
    assert sluice("phases", "--off") == Exit.OK
    capsys.readouterr()
    sluice("phases", "--json")
    off = {"enable_feature_flags": False, "enable_online_learning": False}
    assert printed(capsys) == {"flag": "", "phases": off}


def test_refusals_name_their_reason(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    sluice("create", FLAG)
    sluice("kill", FLAG)
    for words, code, message in (
        (("set", FLAG, "5"), Exit.FAILED, "sluice flags unkill"),
        (("whitelist", FLAG, "eve"), Exit.FAILED, "killed"),
        (("delete", FLAG), Exit.FAILED, "killed"),
        (("show", "nope"), Exit.NOT_FOUND, FLAG),
        (("set", "nope", "5"), Exit.NOT_FOUND, "no flag 'nope'"),
        (("watch", "nope"), Exit.NOT_FOUND, "no flag 'nope'"),
        (("kill", "two words"), Exit.USAGE, "letters, digits"),
        (("whitelist", FLAG, "--remove", "--replace", "x"), Exit.USAGE, "either"),
    ):
        capsys.readouterr()
        assert sluice(*words) == code, words
        assert message in capsys.readouterr().err
    assert sluice("unkill", FLAG) == sluice("delete", FLAG) == Exit.OK


def test_a_store_out_of_reach_is_named_without_its_password(
    sluice: Sluice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://ops:hidden@127.0.0.1:9/0")
    assert sluice("list") == Exit.UNREACHABLE
    errors = capsys.readouterr().err
    assert "sluice up" in errors
    assert "hidden" not in errors
    monkeypatch.setenv("REDIS_URL", "http://nowhere")
    assert sluice("list") == Exit.USAGE
    assert "REDIS_URL" in capsys.readouterr().err


def test_an_unconfirmed_process_sets_the_exit_code(
    sluice: Sluice, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its reader is stopped and its flag holds when stale, so it keeps serving 25 %."""

    async def prepare(process: FlagsEndpoint) -> None:
        async with Redis.from_url(redis_url) as redis:
            await heartbeat(redis, "default", process.as_router_process())

    async def create() -> None:
        async with Redis.from_url(redis_url) as redis:
            flags = FeatureFlags(redis)
            await flags.create_flag(FLAG, rollout_percentage=25, on_stale="hold")

    asyncio.run(create())
    reader = FlagReader(redis_url)
    reader.start()
    assert reader.wait_ready(5.0)
    reader.stop()
    process = FlagsEndpoint("router-1", reader)
    try:
        asyncio.run(prepare(process))
        assert sluice("set", FLAG, "0") == Exit.FAILED
        assert "NOT CONFIRMED: router-1" in capsys.readouterr().out
    finally:
        process.stop()


def test_watch_prints_every_change(
    sluice: Sluice, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sluice("create", FLAG)
    capsys.readouterr()

    async def change() -> None:
        async with Redis.from_url(redis_url) as redis:
            flags = FeatureFlags(redis)
            for percentage in (5, 25):
                await flags.set_rollout_percentage(
                    FLAG, percentage, metadata=WriteMetadata("ops", "go")
                )

    def change_soon() -> None:
        time.sleep(0.7)
        asyncio.run(change())

    changing = threading.Thread(target=change_soon)
    changing.start()
    assert sluice("watch", FLAG, "--seconds", "4", "--json") == Exit.OK
    changing.join()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["rollout_percentage"] == 0
    assert [line["after"]["rollout_percentage"] for line in lines[1:]] == [5, 25]
    assert {line["actor"] for line in lines[1:]} == {"ops"}
