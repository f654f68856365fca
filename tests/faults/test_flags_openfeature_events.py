"""OpenFeature's events over a real Redis: what changed, the store lost, the store back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.event import EventDetails, ProviderEvent
from openfeature.provider import ProviderStatus

from sluice.flags import FeatureFlags, FlagReader
from sluice.flags.openfeature import SluiceProvider
from tests.faults.redis_server import FLAG, RedisServer, wait_until

pytestmark = pytest.mark.integration
DOMAIN = "events"
LIMIT_SECONDS = 5.0


@pytest.fixture
def client(server: RedisServer) -> Iterator[OpenFeatureClient]:
    reader = FlagReader(server.url)
    api.set_provider(SluiceProvider(reader), DOMAIN)
    assert reader.wait_ready(LIMIT_SECONDS)
    yield api.get_client(DOMAIN)
    api.shutdown()


async def test_a_change_is_signalled_and_applied(
    client: OpenFeatureClient, flags: FeatureFlags
) -> None:
    events: list[EventDetails] = []
    client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, events.append)
    await flags.create_flag("other")
    wait_until(lambda: any(event.flags_changed == ["other"] for event in events), LIMIT_SECONDS)
    await flags.set_rollout_percentage(FLAG, 0)
    wait_until(lambda: any(event.flags_changed == [FLAG] for event in events), LIMIT_SECONDS)
    assert client.get_boolean_value(FLAG, True) is False


async def test_a_lost_store_is_stale_and_a_found_one_ready(
    client: OpenFeatureClient, flags: FeatureFlags, server: RedisServer
) -> None:
    wait_until(lambda: client.get_provider_status() is ProviderStatus.READY, LIMIT_SECONDS)
    server.kill()
    wait_until(lambda: client.get_provider_status() is ProviderStatus.STALE, LIMIT_SECONDS)
    await asyncio.sleep(1.0)
    assert client.get_boolean_value(FLAG, True) is False
    server.start()
    await flags.create_flag(FLAG, rollout_percentage=100)  # it came back empty
    wait_until(lambda: client.get_provider_status() is ProviderStatus.READY, LIMIT_SECONDS)


def test_an_unreachable_store_is_an_error_and_answers_off() -> None:
    reader = FlagReader("redis://127.0.0.1:9/0")
    api.set_provider(SluiceProvider(reader, ready_seconds=0.3), DOMAIN)
    client = api.get_client(DOMAIN)
    wait_until(lambda: client.get_provider_status() is ProviderStatus.ERROR, LIMIT_SECONDS)
    assert client.get_boolean_value(FLAG, False) is False
    api.shutdown()
