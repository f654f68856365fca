"""The Redis users of ops/redis suffice for their parts, and may do no more."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis as sync_redis
import yaml
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from router.cache import CacheLimits, SemanticCache
from router.catalog_search.value_store import ValueStore
from router.learning import UserFeedback
from router.phases.phase_switches import PHASE4_FLAG
from router.settings import Settings
from sluice.flags import FeatureFlags, FlagReader, FlagStoreError
from sluice.flags.redis.process_registry import ServiceProcess, heartbeat, live_processes
from tests.clinic import clinic_catalog
from tests.faults.redis_server import redis_program
from tests.free_port import free_port
from tests.integration.router.running_router import running_router

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "ops" / "redis"
USERS = ("reader", "router", "worker", "operator")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Start a server with compose's own command; each user's password is ``NAME-secret``."""
    number = free_port()
    environment = {**os.environ, "REDIS_SERVER": redis_program(), "SLUICE_ENVIRONMENT": "acl"}
    for user in USERS:
        path = tmp_path / user
        path.write_text(f"{user}-secret\n")
        environment[f"REDIS_{user.upper()}_FILE"] = str(path)
    argv = [str(FOLDER / "start.sh"), str(FOLDER / "users.acl.template"), str(tmp_path / "acl")]
    argv += yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["redis"][
        "command"
    ]
    argv += ["--port", str(number), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            _wait_until_up(number)
            yield number
        finally:
            process.terminate()


def _wait_until_up(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            with sync_redis.Redis.from_url(url("operator", port)) as client:
                client.ping()
                return
        except sync_redis.ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def url(user: str, port: int) -> str:
    return f"redis://{user}:{user}-secret@127.0.0.1:{port}/0"


async def require_refused(user: str, port: int, *commands: tuple[str | int, ...]) -> None:
    async with Redis.from_url(url(user, port)) as client:
        for command in commands:
            with pytest.raises(NoPermissionError):
                await client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis leaves it so


async def test_a_worker_writes_flags_and_a_reader_only_follows_them(port: int) -> None:
    async with Redis.from_url(url("worker", port)) as client:
        flags = FeatureFlags(client, environment="acl")
        await flags.create_flag(PHASE4_FLAG)
        reader = FlagReader(url("reader", port), environment="acl")
        reader.start()
        assert await asyncio.to_thread(reader.wait_ready, 3.0)
        await flags.set_rollout_percentage(PHASE4_FLAG, 100)
        async with asyncio.timeout(3):
            while not reader.evaluate(PHASE4_FLAG, "anyone").enabled:  # noqa: ASYNC110 - a thread changes it
                await asyncio.sleep(0.02)
        await flags.kill(PHASE4_FLAG)
        assert len(await flags.history(PHASE4_FLAG)) == 3
        reader.stop()
    async with Redis.from_url(url("reader", port)) as client:
        with pytest.raises(FlagStoreError):
            await FeatureFlags(client, environment="acl").set_rollout_percentage(PHASE4_FLAG, 1)
    await require_refused(
        "reader",
        port,
        ("SET", "sluice:acl:flags:watermark", "1"),
        ("DEL", "sluice:acl:flags"),
        ("EVAL", "while true do end", 0),
        ("PUBLISH", "sluice:acl:flags:changes", "x"),
        ("GET", "sluice:acl:query_id_key"),
        ("GET", "sluice:other:flags"),
        ("CONFIG", "GET", "*"),
    )
    await require_refused(
        "worker", port, ("GET", "sluice:acl:query_id_key"), ("FLUSHALL",), ("CONFIG", "GET", "*")
    )


async def test_a_router_answers_learns_and_cannot_write_flags(
    port: int, seeded_settings: Settings
) -> None:
    async with Redis.from_url(url("worker", port)) as client:
        flags = FeatureFlags(client, environment="acl")
        await flags.create_flag(PHASE4_FLAG)
        await flags.add_to_whitelist(PHASE4_FLAG, "alice")
    stores = replace(seeded_settings.stores, redis_url=url("router", port))
    settings = replace(seeded_settings, environment="acl", stores=stores)
    async with running_router(
        settings, enable_feature_flags=True, enable_online_learning=True
    ) as router:
        reader = router.components.reader
        async with asyncio.timeout(5):
            while not reader.evaluate(PHASE4_FLAG, "alice").enabled:  # noqa: ASYNC110 - a thread changes it
                await asyncio.sleep(0.02)
        answer = await router.query("Who drives truck T-12?", user_id="alice")
        assert (answer.cohort, answer.failures) == ("treatment", {})
        receipt = await router.record_feedback(
            UserFeedback(answer.query_id, clicked=True), complaint=True
        )
        assert receipt.outcome == "accepted"
        learner = router.online_learning_router
        assert learner is not None
        async with asyncio.timeout(15):
            while learner.get_stats()["feedback_count"] < 1:  # noqa: ASYNC110 - the learner changes it
                await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            while not (await router.query("who drives truck T-12", user_id="alice")).cached:  # noqa: ASYNC110 - a task writes
                await asyncio.sleep(0.05)
        redis = router.components.redis
        catalog = clinic_catalog("postgres")
        store = ValueStore(redis, "acl")
        await store.save(catalog, {})
        assert await store.load(catalog) == {}
        await SemanticCache(redis, "acl", CacheLimits()).invalidate(answer.results[0].source)
        process = ServiceProcess("one", "http://127.0.0.1:1", 1, 0.0)
        await heartbeat(redis, "acl", process)
        metrics = router.metrics.registry
        assert metrics.get_sample_value("router_redis_errors_total") == 0
    async with Redis.from_url(url("worker", port)) as client:
        assert [each.id for each in await live_processes(client, "acl")] == ["one"]
    await require_refused(
        "router",
        port,
        ("SET", "sluice:acl:flags", "{}"),
        ("EVAL", "return redis.call('SET', KEYS[1], '{}')", 1, "sluice:acl:flags"),
        ("SCRIPT", "FLUSH"),
        ("SORT", "sluice:acl:learning:x"),
        ("SCAN", 0),
        ("RENAME", "sluice:acl:users:x", "sluice:acl:flags"),
        ("XADD", "sluice:acl:flags:audit", "*", "a", "b"),
        ("GET", "sluice:other:cache"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
    )


@pytest.mark.parametrize("user", ["reader", "router", "worker"])
async def test_every_command_of_a_user_is_one_that_its_part_sends(user: str) -> None:
    """A command that no client method and no script names is a right too many."""
    template = (FOLDER / "users.acl.template").read_text()
    (line,) = [line for line in template.splitlines() if line.startswith(f"user {user} ")]
    rules = line.split()
    assert not [rule for rule in rules if rule.startswith(("+@", "allcommands", "allkeys"))]
    granted = {rule[1:] for rule in rules if rule.startswith("+")} - CONNECTION_COMMANDS
    files = [path for part in SENDERS[user] for path in (ROOT / part).rglob("*.*")]
    source = "\n".join(p.read_text() for p in files if p.suffix in (".py", ".lua")).lower()
    unused = {
        each
        for each in granted
        if not re.search(rf"""[."'](?:{METHODS.get(each, each.replace("|", "_"))})[("']""", source)
    }
    assert not unused


CONNECTION_COMMANDS = {"hello", "auth", "select", "ping", "client|setinfo", "client|setname"}
METHODS = {
    "del": "del|delete",
    "evalsha": "register_script",
    "script|load": "register_script",
    "script|exists": "register_script",
    "multi": "pipeline",
    "exec": "pipeline",
    "unsubscribe": "pubsub",
    "subscribe": "subscribe",
}
SENDERS = {
    "reader": ("sluice/flags/redis",),
    "worker": ("sluice/flags", "activities/adapters"),
    "router": ("router", "sluice/flags"),
}
