"""The addresses of all servers: from variables, and otherwise from ``sluice up``."""

import asyncio
import getpass
import os
import socket
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sluice.cli.errors import CliError, Exit
from sluice.cli.options import ACTOR_LENGTH_MAX
from sluice.rollout.printable import unprintable_problem
from sluice.stack import default_home, load_environment

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.envconfig import ClientConnectConfig
    from temporalio.service import ServiceClient

    from activities.adapters.prometheus_credentials import PrometheusCredentials

CONNECT_TIMEOUT_SECONDS = 5
PROBE_SECONDS_MAX = 1.0
Connection = TypeVar("Connection")


class TemporalService(NamedTuple):
    """A connection to Temporal's service, and the namespace of the rollouts."""

    client: "ServiceClient"
    namespace: str


def stack_home() -> Path:
    """Return the folder of the embedded stack: SLUICE_HOME, else ``.sluice`` here."""
    return default_home(os.environ, Path.cwd())


@dataclass(frozen=True)
class Context:
    """The environment of one command, read once."""

    environment: Mapping[str, str]

    @classmethod
    def read(cls) -> "Context":
        return cls({**load_environment(stack_home()), **os.environ})

    @property
    def environment_name(self) -> str:
        return self.environment.get("SLUICE_ENVIRONMENT", "default")

    @property
    def redis_cache_url(self) -> str:
        """The Redis of cached answers: REDIS_CACHE_URL, or else the one of the flags."""
        return self.environment.get("REDIS_CACHE_URL") or self.redis_url

    @property
    def redis_url(self) -> str:
        return self.environment.get("REDIS_URL", "redis://localhost:6379/0")

    @property
    def ledger_dsn(self) -> str:
        """Return the ledger's Postgres: SLUICE_LEDGER_DSN, else POSTGRES_DSN."""
        default = self.environment.get("POSTGRES_DSN", "postgresql://localhost:5432/postgres")
        return self.environment.get("SLUICE_LEDGER_DSN", default)

    @property
    def prometheus_url(self) -> str:
        return self.environment.get("PROMETHEUS_URL", "http://localhost:9090").rstrip("/")

    def prometheus_credentials(self) -> "PrometheusCredentials":
        """Return what every request to Prometheus carries.

        Raises:
            CliError: USAGE, with the variable that cannot be used.
        """
        from activities.adapters.prometheus_credentials import PrometheusCredentials  # noqa: PLC0415

        try:
            return PrometheusCredentials.from_environment(self.environment)
        except ValueError as error:
            raise CliError(str(error), Exit.USAGE) from None

    @property
    def links(self) -> dict[str, str]:
        """Return the addresses to show to people, by name."""
        url = self.environment.get("TEMPORAL_UI_URL")
        return {"Temporal UI": url} if url else {}

    @property
    def actor(self) -> str:
        """Return SLUICE_ACTOR, else the login name, else (in a bare container) the user id."""
        if configured_actor := self.environment.get("SLUICE_ACTOR"):
            if problem := unprintable_problem(configured_actor, one_line=True):
                raise CliError(f"SLUICE_ACTOR {problem}", Exit.USAGE)
            if len(configured_actor) > ACTOR_LENGTH_MAX:
                text = f"has {len(configured_actor):,} characters; shorten it to {ACTOR_LENGTH_MAX}"
                raise CliError(f"SLUICE_ACTOR {text}", Exit.USAGE)
            return configured_actor
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return f"uid {os.getuid()}"

    async def connect_temporal(self) -> "Client":
        """Connect by Temporal's own environment configuration.

        Raises:
            CliError: UNREACHABLE, with how to start a server; USAGE for a payload key.
        """
        config = await self._temporal_config()
        from temporalio.client import Client  # noqa: PLC0415 - slow

        from sluice.worker.encryption import KEYS_VARIABLE, PayloadKeyError, data_converter  # noqa: PLC0415 - slow

        try:
            converter = data_converter(self.environment.get(KEYS_VARIABLE, ""))
        except PayloadKeyError as error:
            raise CliError(str(error), Exit.USAGE) from error
        connecting = Client.connect(**config, data_converter=converter)
        return await _connect(connecting, config["target_host"])

    async def connect_temporal_service(self) -> TemporalService:
        """Connect by the same configuration, without the client: payloads and workflows are slow.

        Raises:
            CliError: UNREACHABLE, with how to start a server.
        """
        config = await self._temporal_config()
        from temporalio.service import ConnectConfig, ServiceClient  # noqa: PLC0415 - slow

        connection: dict[str, Any] = {**config}
        namespace = connection.pop("namespace", "default")
        connecting = ServiceClient.connect(ConnectConfig(**connection))
        return TemporalService(await _connect(connecting, config["target_host"]), namespace)

    async def _temporal_config(self) -> "ClientConnectConfig":
        """Return how to reach Temporal, if anything listens there.

        Raises:
            CliError: UNREACHABLE.
        """
        address = self.environment.get("TEMPORAL_ADDRESS", "")
        if not await _accepts_connections(address):
            raise _temporal_error(address)
        from temporalio.envconfig import ClientConfig  # noqa: PLC0415 - slow

        config = ClientConfig.load_client_connect_config(override_env_vars=dict(self.environment))
        config.setdefault("target_host", "localhost:7233")
        return config


async def _connect(connecting: Awaitable[Connection], address: str) -> Connection:
    from temporalio.service import RPCError  # noqa: PLC0415 - slow

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            return await connecting
    except (RuntimeError, RPCError, TimeoutError, OSError) as error:
        raise _temporal_error(address) from error


def require_free_address(host: str, port: int, option: str = "--port") -> None:
    """Refuse an address that no server can listen on, before anything is loaded for one.

    Raises:
        CliError: FAILED, with the option that changes it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CliError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another with {option}"
            ) from None


async def _accepts_connections(address: str) -> bool:
    """Return False if nothing listens at the address: loading Temporal's client takes longer.

    An address that is not set may be in a profile, which only the client reads.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return True
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _temporal_error(address: str) -> CliError:
    return CliError(
        f"Temporal does not answer at {address}. Start everything with `sluice up`, "
        "or set TEMPORAL_ADDRESS. `sluice flags list` shows the flags without it, and "
        "`sluice kill FLAG` takes one to 0 %.",
        Exit.UNREACHABLE,
    )
