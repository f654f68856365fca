"""Prometheus (Debian's package), scraping every second what ``targets/*.json`` names."""

import json
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from stack.home import write_atomically
from stack.ports import LOOPBACK
from stack.programs import PROMETHEUS, program
from stack.service import Place
from stack.supervisor import http_check

# Without it the default of 15 days would delete a rollout's own baseline.
RETENTION = "90d"
CONNECT_SECONDS = 0.5
# The alerts of production, so that a checklist that asks for them finds them here too.
ALERT_RULES = Path(__file__).parents[2] / "ops" / "prometheus" / "rules.yml"
CONFIGURATION = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 5s
rule_files: ["rules/*.yml"]
scrape_configs:
  - job_name: targets  # each file names its own job
    file_sd_configs:
      - files: ["targets/*.json"]
        refresh_interval: 1s  # also watched; this bounds a lost notification
"""


@dataclass(frozen=True, slots=True)
class Prometheus:
    name: str = "prometheus"
    variable: str = "PROMETHEUS_URL"
    companions: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("http",)
    stop_signal: int = signal.SIGTERM

    def require(self) -> None:
        program("prometheus", PROMETHEUS)

    async def prepare(self, place: Place) -> None:
        write_atomically(place.folder / "prometheus.yml", CONFIGURATION)
        for folder in ("targets", "rules"):
            (place.folder / folder).mkdir(exist_ok=True)
        if ALERT_RULES.exists():
            write_atomically(place.folder / "rules" / "sluice.yml", ALERT_RULES.read_text("utf-8"))
        write_targets(place, "prometheus", (place.at("http"),))

    def argv(self, place: Place) -> tuple[str, ...]:
        return (
            program("prometheus", PROMETHEUS),
            f"--config.file={place.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={place.folder / 'tsdb'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={LOOPBACK}:{place.ports['http']}",
            "--web.enable-lifecycle",
            # Discovery itself passes changes on every 5 s; don't add as much again.
            "--scrape.discovery-reload-interval=1s",
            "--log.level=warn",
        )

    async def check(self, place: Place) -> None:
        await http_check(f"http://{place.at('http')}/-/ready")()

    def environment(self, place: Place) -> dict[str, str]:
        return {self.variable: f"http://{place.at('http')}"}


def add_target(place: Place, job: str, address: str) -> None:
    """Scrape ``address`` too, beside those of ``job`` that still take connections."""
    path = place.folder / "targets" / f"{job}.json"
    groups = json.loads(path.read_text("utf-8")) if path.exists() else []
    known = [one for group in groups for one in group["targets"] if one != address]
    write_targets(place, job, (*(one for one in known if _listens(one)), address))


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def write_targets(place: Place, job: str, addresses: tuple[str, ...]) -> None:
    """Scrape ``addresses`` (host:port, path /metrics) as ``job`` from now on, instead of its old ones."""
    groups = [{"targets": list(addresses), "labels": {"job": job}}]
    write_atomically(place.folder / "targets" / f"{job}.json", json.dumps(groups))
