"""Prometheus (Debian's package), which scrapes the targets of ``targets/*.json`` every second."""

import json
import signal
import socket
from dataclasses import dataclass

from sluice.installation import data_file
from sluice.stack.data_directory import write_atomically
from sluice.stack.executables import INSTALL_PROMETHEUS, find_executable
from sluice.stack.port_allocator import LOOPBACK
from sluice.stack.service import ServiceContext
from sluice.stack.supervisor import http_check

# The default of 15 days deletes a rollout's own baseline.
RETENTION = "90d"
CONNECT_SECONDS = 0.5
# The alerts of production: a checklist item that asks for one then passes here too.
ALERT_RULES = "ops/prometheus/rules.yml"
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
    address_variable: str = "PROMETHEUS_URL"
    companion_variables: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("http",)
    stop_signal: int = signal.SIGTERM

    def require_installed(self) -> None:
        find_executable("prometheus", INSTALL_PROMETHEUS)

    async def prepare(self, context: ServiceContext) -> None:
        write_atomically(context.directory / "prometheus.yml", CONFIGURATION)
        for folder in ("targets", "rules"):
            (context.directory / folder).mkdir(exist_ok=True)
        rules = data_file(ALERT_RULES).read_text("utf-8")
        write_atomically(context.directory / "rules" / "sluice.yml", rules)
        write_scrape_targets(context, "prometheus", (context.address("http"),))

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        return (
            find_executable("prometheus", INSTALL_PROMETHEUS),
            f"--config.file={context.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={context.directory / 'tsdb'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={LOOPBACK}:{context.ports['http']}",
            "--web.enable-lifecycle",
            # Discovery forwards changes every 5 s; keep the reload interval short.
            "--scrape.discovery-reload-interval=1s",
            "--log.level=warn",
        )

    async def check_health(self, context: ServiceContext) -> None:
        await http_check(f"http://{context.address('http')}/-/ready")()

    def environment(self, context: ServiceContext) -> dict[str, str]:
        return {self.address_variable: f"http://{context.address('http')}"}


def add_scrape_target(context: ServiceContext, job: str, address: str) -> None:
    """Add ``address`` to the targets of ``job``; drop those that refuse connections."""
    path = context.directory / "targets" / f"{job}.json"
    groups = json.loads(path.read_text("utf-8")) if path.exists() else []
    listening = [target for group in groups for target in group["targets"] if target != address]
    write_scrape_targets(
        context, job, (*(target for target in listening if _is_listening(target)), address)
    )


def _is_listening(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def write_scrape_targets(context: ServiceContext, job: str, addresses: tuple[str, ...]) -> None:
    """Replace the targets of ``job`` by ``addresses`` (host:port, path /metrics)."""
    groups = [{"targets": list(addresses), "labels": {"job": job}}]
    write_atomically(context.directory / "targets" / f"{job}.json", json.dumps(groups))
