"""Notices on a real Alertmanager (Debian's package): one alert for one trouble, and it ends."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from activities.adapters.channels import AlertmanagerChannel
from tests.free_port import free_port
from tests.integration.activities.test_channels import NOTICE

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        PROGRAM is None, reason="no Alertmanager: apt-get install prometheus-alertmanager"
    ),
]
CONFIGURATION = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
SECONDS = 60


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    configuration = tmp_path / "alertmanager.yml"
    configuration.write_text(CONFIGURATION)
    address = f"127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={configuration}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=error",
    )
    with subprocess.Popen((str(PROGRAM), *arguments)) as server:  # noqa: S603  a test's server
        yield f"http://{address}"
        server.terminate()


async def firing_alerts(http: httpx.AsyncClient, url: str) -> list[Any]:
    answer = await http.get(f"{url}/api/v2/alerts", params={"active": "true"})
    answer.raise_for_status()
    found: list[Any] = answer.json()
    return found


async def test_a_notice_is_one_alert_however_often_it_is_sent_and_ends(alertmanager: str) -> None:
    """Delivery is at least once; the labels make it one. What a person resolved fires no more."""
    notice = NOTICE.model_copy(update={"at": datetime.now(UTC)})
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(SECONDS):
        while not await _is_ready(http, alertmanager):  # noqa: ASYNC110  Alertmanager sends no event
            await asyncio.sleep(0.1)
        channel = AlertmanagerChannel(http, alertmanager)
        for _ in range(2):
            assert await channel.send(notice) == "HTTP 200"
        (alert,) = await firing_alerts(http, alertmanager)
        assert alert["labels"]["alert"] == "error_spike"
        assert alert["labels"]["severity"] == "P0"
        assert alert["annotations"]["summary"] == NOTICE.title
        assert alert["annotations"]["runbook_url"] == NOTICE.runbook
        over = {"at": datetime.now(UTC), "key": "run-2", "resolved": True}
        await channel.send(notice.model_copy(update=over))
        while await firing_alerts(http, alertmanager):  # noqa: ASYNC110  Alertmanager sends no event
            await asyncio.sleep(0.1)


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/-/ready")).is_success
    except httpx.HTTPError:
        return False
