"""The worker's Temporal client: Temporal's environment configuration with our settings."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from temporalio.client import Client, Interceptor
from temporalio.envconfig import ClientConfig

from sluice.worker.encryption import data_converter
from sluice.worker.settings import WorkerSettings
from sluice.worker.telemetry import build_runtime, start_tracing


class TemporalUnreachableError(Exception):
    """Temporal does not answer; the message has the address and the reason."""


@asynccontextmanager
async def open_client(settings: WorkerSettings) -> AsyncIterator[Client]:
    """Connect with TLS, API key or certificates from the environment; flush traces at the end.

    Raises:
        PayloadKeyError, SettingsError: the message names the variable.
        TemporalUnreachableError: it does not answer, or refuses the connection.
    """
    traces = start_tracing(settings)
    try:
        yield await _connect(settings, traces.interceptors)
    finally:
        traces.close()


async def _connect(settings: WorkerSettings, interceptors: Sequence[Interceptor]) -> Client:
    config = ClientConfig.load_client_connect_config()
    address = config.setdefault("target_host", "localhost:7233")
    has_keyring, ours = bool(settings.keyring), build_runtime(settings)
    converter = data_converter(settings.payload_keys, require_encryption=has_keyring)
    try:
        return await Client.connect(
            **config, data_converter=converter, interceptors=interceptors, runtime=ours
        )
    except RuntimeError as error:
        raise TemporalUnreachableError(
            f"Temporal does not answer at {address}: start it with `sluice up`, "
            f"or set TEMPORAL_ADDRESS ({error})"
        ) from error
