"""The worker's client: Temporal's own environment configuration, and what the settings add."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from temporalio.client import Client, Interceptor
from temporalio.envconfig import ClientConfig

from sluice.worker.encryption import data_converter
from sluice.worker.settings import WorkerSettings
from sluice.worker.telemetry import build_runtime, start_tracing


class TemporalUnreachableError(Exception):
    """Temporal can't be reached; the message says where it was looked for, and why not."""


@asynccontextmanager
async def open_client(settings: WorkerSettings) -> AsyncIterator[Client]:
    """Connect with TLS, API key or certificates as the environment says; at the end flush traces.

    Raises:
        PayloadKeyError, SettingsError: the message names the variable.
        NoTemporalError: it does not answer, or not as it is asked.
    """
    traces = start_tracing(settings)
    try:
        yield await _connect(settings, traces.interceptors)
    finally:
        traces.close()


async def _connect(settings: WorkerSettings, interceptors: Sequence[Interceptor]) -> Client:
    config = ClientConfig.load_client_connect_config()
    address = config.setdefault("target_host", "localhost:7233")
    converter, ours = data_converter(settings.payload_keys), build_runtime(settings)
    try:
        return await Client.connect(
            **config, data_converter=converter, interceptors=interceptors, runtime=ours
        )
    except RuntimeError as error:
        raise TemporalUnreachableError(
            f"Temporal does not answer at {address}: start it with `sluice up`, "
            f"or set TEMPORAL_ADDRESS ({error})"
        ) from error
