"""Checks that the dashboards and the alert rules of a plan exist in Grafana and Prometheus."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from activities.contract.errors import MetricsUnreachableError
from activities.contract.models import ProbeResult

REQUEST_SECONDS_MAX = 4.0
DASHBOARDS_MAX = 5000


@dataclass(frozen=True)
class MonitoringProbe:
    """Prometheus and Grafana as they are set up.

    Without ``grafana_url`` the dashboards are looked for in ``dashboards_folder``, whose JSON files
    a Grafana is provisioned from.
    """

    http: httpx.AsyncClient
    prometheus_http: httpx.AsyncClient
    prometheus_url: str
    dashboards_folder: Path
    grafana_url: str = ""
    grafana_token: str = ""

    async def check_alert_rules(self, names: tuple[str, ...]) -> ProbeResult:
        """Check that Prometheus has every alert rule and could evaluate it the last time.

        Raises:
            MetricsUnreachableError: Prometheus does not answer, or its answer has another form.
        """
        url = f"{self.prometheus_url.rstrip('/')}/api/v1/rules?type=alert"
        body = await _get_json(self.prometheus_http, url, {})
        try:
            groups = body["data"]["groups"]
            health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        except (KeyError, TypeError) as error:
            raise MetricsUnreachableError("Prometheus doesn't list its rules") from error
        wrong = [f"{name} is not loaded" for name in names if name not in health]
        wrong += [f"{name} can't be evaluated" for name in names if health.get(name) == "err"]
        return _probe_result(wrong, f"{len(names)} alert rules are loaded in Prometheus")

    async def check_dashboards(self, titles: tuple[str, ...]) -> ProbeResult:
        """Check that a dashboard of every title exists.

        Raises:
            MetricsUnreachableError: Grafana does not answer, or refuses the token.
        """
        if self.grafana_url:
            existing_titles, place = await self._grafana_titles(), "in Grafana"
        else:
            existing_titles = await asyncio.to_thread(_folder_titles, self.dashboards_folder)
            place = (
                f"in {self.dashboards_folder.name}/ for Grafana to load (GRAFANA_URL is not set)"
            )
        wrong = [
            f"no dashboard {title!r} {place}" for title in titles if title not in existing_titles
        ]
        return _probe_result(wrong, f"{len(titles)} dashboards {place}")

    async def _grafana_titles(self) -> set[str]:
        url = f"{self.grafana_url.rstrip('/')}/api/search?type=dash-db&limit={DASHBOARDS_MAX}"
        token = self.grafana_token
        body = await _get_json(
            self.http, url, {"Authorization": f"Bearer {token}"} if token else {}
        )
        try:
            return {dashboard["title"] for dashboard in body}
        except (KeyError, TypeError) as error:
            raise MetricsUnreachableError("Grafana doesn't list its dashboards") from error


async def _get_json(http: httpx.AsyncClient, url: str, headers: dict[str, str]) -> Any:  # noqa: ANN401  any JSON
    try:
        reply = await http.get(url, headers=headers, timeout=REQUEST_SECONDS_MAX)
        reply.raise_for_status()
        return reply.json()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise MetricsUnreachableError(
            f"{_display_url(url)} answers with status {status}"
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError) as error:
        raise MetricsUnreachableError(f"{_display_url(url)} does not answer: {error!r}") from error


def _folder_titles(folder: Path) -> set[str]:
    titles = set()
    for path in sorted(folder.glob("*.json")):
        try:
            titles.add(str(json.loads(path.read_text(encoding="utf-8"))["title"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MetricsUnreachableError(f"{path.name} is not a dashboard: {error!r}") from error
    return titles


def _display_url(url: str) -> str:
    return httpx.URL(url).copy_with(query=None, userinfo=b"").__str__()


def _probe_result(problems: list[str], success: str) -> ProbeResult:
    return ProbeResult(passed=not problems, reason="; ".join(problems) or success)
