"""The worker's Temporal client: Temporal's environment configuration with our settings."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from temporalio.client import Client, Interceptor
from temporalio.envconfig import ClientConfig

from sluice.worker.encryption import data_converter
from sluice.worker.settings import WorkerSettings
from sluice.worker.telemetry import build_runtime, start_tracing

RETRY_SECONDS = 2.0
NO_SERVER = "ConnectError"
"""The SDK's word for a refused connection or an unknown host; other errors do not pass by waiting."""
_logger = logging.getLogger("sluice")


class TemporalUnreachableError(Exception):
    """Temporal does not answer; the message has the address and the reason."""


@asynccontextmanager
async def open_client(
    settings: WorkerSettings, stop: asyncio.Event | None = None
) -> AsyncIterator[Client]:
    """Connect with TLS, API key or certificates from the environment; flush traces at the end.

    While nothing answers at the address, wait and log it, until ``stop`` is set.

    Raises:
        PayloadKeyError, WorkerSettingsError: the message names the variable.
        TemporalUnreachableError: it refuses the connection, or did not answer before ``stop``.
    """
    traces = start_tracing(settings)
    try:
        yield await _connect(settings, traces.interceptors, stop or asyncio.Event())
    finally:
        traces.close()


async def _connect(
    settings: WorkerSettings, interceptors: Sequence[Interceptor], stop: asyncio.Event
) -> Client:
    config = ClientConfig.load_client_connect_config()
    address = config.setdefault("target_host", "localhost:7233")
    has_keyring, runtime = bool(settings.keyring), build_runtime(settings)
    converter = data_converter(settings.payload_keys, require_encryption=has_keyring)
    while True:
        try:
            return await Client.connect(
                **config, data_converter=converter, interceptors=interceptors, runtime=runtime
            )
        except RuntimeError as error:
            problem = (
                f"Temporal does not answer at {address}: start it with `sluice up`, "
                f"or set TEMPORAL_ADDRESS ({error})"
            )
            if NO_SERVER not in str(error) or await _is_set_within(stop, RETRY_SECONDS):
                raise TemporalUnreachableError(problem) from error
            _logger.warning("waiting: %s", problem)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
