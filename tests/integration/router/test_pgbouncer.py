"""Postgres behind a transaction pooler: Debian's pgbouncer, where it is installed."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from router.analytics import DecisionLog, OutcomeRow
from router.backends.postgres_pool import split_pooler_option
from router.observability.metrics import RouterMetrics
from router.settings import AnalyticsSettings, StoreSettings
from router.store_clients import open_postgres
from tests.free_port import free_port

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
needs_pgbouncer = pytest.mark.skipif(
    not Path(PROGRAM).exists(), reason="pgbouncer is missing: apt-get install pgbouncer"
)


@pytest.fixture
def pooled_dsn(postgres_dsn: str, tmp_path: Path) -> Iterator[str]:
    """Start pgbouncer with transaction pooling and two server connections."""
    server, port = urlsplit(postgres_dsn), free_port()
    options = {
        "host": server.hostname,
        "port": server.port,
        "dbname": server.path.lstrip("/"),
        "user": unquote(server.username or "postgres"),
        "password": unquote(server.password or ""),
    }
    target = " ".join(f"{name}={value}" for name, value in options.items() if value)
    (tmp_path / "pgbouncer.ini").write_text(
        f"[databases]\npooled = {target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        "unix_socket_dir =\nignore_startup_parameters = extra_float_digits\n"
    )
    tmp_path.chmod(0o755)
    command = [PROGRAM, "-q", "-u", "nobody", str(tmp_path / "pgbouncer.ini")]
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    with subprocess.Popen(command) as process:  # noqa: S603 - our own arguments
        try:
            yield f"postgresql://someone@127.0.0.1:{port}/pooled?pgbouncer=true"
        finally:
            process.terminate()


@needs_pgbouncer
@pytest.mark.integration
async def test_queries_and_the_decision_log_work_through_a_transaction_pooler(
    pooled_dsn: str,
) -> None:
    pool = await open_postgres(StoreSettings(postgres_dsn=pooled_dsn))
    async with asyncio.timeout(20):
        while True:
            try:
                await pool.fetchval("SELECT 1")
                break
            except OSError:  # it does not listen yet
                await asyncio.sleep(0.05)
        numbers = await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(50)))
        assert numbers == list(range(50))
        log = DecisionLog(pool, "pooled", AnalyticsSettings(), RouterMetrics())
        for number in range(50):
            log.record_outcome(OutcomeRow(f"c-{number}", 0.5, False, {}, "acme"))
        assert await log._write_batch()
        query = "SELECT count(*) FROM router_outcomes WHERE environment = $1"
        assert await pool.fetchval(query, "pooled") == 50
        await pool.execute("DROP TABLE router_outcomes, router_decisions")
        await pool.close()


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://a@b/c?pgbouncer=true", ("postgresql://a@b/c", True)),
        (
            "postgresql://a@b/c?sslmode=require&pgbouncer=true",
            ("postgresql://a@b/c?sslmode=require", True),
        ),
        ("postgresql://a@b/c?pgbouncer=false", ("postgresql://a@b/c", False)),
        ("postgresql://a@b/c?x=1", ("postgresql://a@b/c?x=1", False)),
    ],
)
def test_the_option_is_ours_and_does_not_reach_the_server(
    dsn: str, expected: tuple[str, bool]
) -> None:
    assert split_pooler_option(dsn) == expected
