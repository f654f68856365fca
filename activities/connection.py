"""The worker's client: Temporal's own environment configuration, and what the settings add."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from activities.encryption import data_converter
from activities.settings import WorkerSettings
from activities.telemetry import runtime, tracing


@asynccontextmanager
async def connected(settings: WorkerSettings) -> AsyncIterator[Client]:
    """Connect with TLS, API key or certificates as the environment says; at the end flush traces.

    Raises:
        PayloadKeyError, SettingsError: the message names the variable.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    traces = tracing(settings)
    try:
        yield await Client.connect(
            **config,
            data_converter=data_converter(settings.payload_keys),
            interceptors=traces.interceptors,
            runtime=runtime(settings),
        )
    finally:
        traces.close()
