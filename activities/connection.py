"""The worker's client: Temporal's own environment configuration, and what the settings add."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from temporalio.client import Client, Interceptor
from temporalio.envconfig import ClientConfig

from activities.encryption import data_converter
from activities.settings import WorkerSettings
from activities.telemetry import runtime, tracing


class NoTemporalError(Exception):
    """Temporal can't be reached; the message says where it was looked for, and why not."""


@asynccontextmanager
async def connected(settings: WorkerSettings) -> AsyncIterator[Client]:
    """Connect with TLS, API key or certificates as the environment says; at the end flush traces.

    Raises:
        PayloadKeyError, SettingsError: the message names the variable.
        NoTemporalError: it does not answer, or not as it is asked.
    """
    traces = tracing(settings)
    try:
        yield await _client(settings, traces.interceptors)
    finally:
        traces.close()


async def _client(settings: WorkerSettings, interceptors: Sequence[Interceptor]) -> Client:
    config = ClientConfig.load_client_connect_config()
    address = config.setdefault("target_host", "localhost:7233")
    converter, ours = data_converter(settings.payload_keys), runtime(settings)
    try:
        return await Client.connect(
            **config, data_converter=converter, interceptors=interceptors, runtime=ours
        )
    except RuntimeError as error:
        raise NoTemporalError(
            f"Temporal does not answer at {address}: start it with `sluice up`, "
            f"or set TEMPORAL_ADDRESS ({error})"
        ) from error
