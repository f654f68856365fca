"""docker-compose.yml is checked against the Compose specification, and against our own promises."""

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
ONE_SHOT = {"ledger", "temporal-schema", "temporal-namespace"}
LONG_RUNNING = sorted(set(SERVICES) - ONE_SHOT)
VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]*|:-[^}]*)?\}")
SECRET = re.compile(r"PASSWORD|PWD|AUTH|KEY|DSN")

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_long_running = pytest.mark.parametrize("name", LONG_RUNNING)


def environment(name: str) -> dict[str, str | None]:
    variables: dict[str, str | None] = SERVICES[name].get("environment", {})
    return variables


def published_ports(name: str) -> list[str]:
    """Host addresses of a service, ranges spelt out."""
    addresses = []
    for entry in SERVICES[name].get("ports", []):
        host, ports, _ = entry.split(":")
        first, _, last = ports.partition("-")
        addresses += [f"{host}:{port}" for port in range(int(first), int(last or first) + 1)]
    return addresses


def documented_variables() -> set[str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {match[1] for line in lines if (match := re.match(r"(?:# )?([A-Z_0-9]+)=", line))}


def test_file_is_valid_by_the_compose_specification() -> None:
    # The specification's schema (Apache-2.0), as the package check-jsonschema ships it.
    shipped = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(shipped.read_text())
    mistakes = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(COMPOSE)
    ]
    assert not mistakes


def test_env_example_names_exactly_the_variables_used() -> None:
    passed_on = {key for name in SERVICES for key, value in environment(name).items() if not value}
    secrets = {
        secret["environment"] for secret in COMPOSE["secrets"].values() if "file" not in secret
    }
    used = {match[0] for match in VARIABLE.findall(TEXT)}
    assert documented_variables() == used | passed_on | secrets


def test_env_example_gives_no_values() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert not [line for line in lines if re.match(r"[A-Z_0-9]+=.", line)]


@each_service
def test_no_secret_is_written_in_the_file(name: str) -> None:
    literal = {
        key: value
        for key, value in environment(name).items()
        if SECRET.search(key) and value and not VARIABLE.search(value)
    }
    assert not {value for value in literal.values() if not value.startswith("/run/secrets/")}


def test_no_password_is_an_argument_or_shared_by_two_workloads() -> None:
    for service in SERVICES.values():
        assert not VARIABLE.search(str(service.get("command")) + str(service.get("entrypoint")))
    addresses = {environment(name)["REDIS_URL"] for name in ("router", "worker")}
    assert len(addresses) == 2
    template = (ROOT / "ops" / "redis" / "users.acl.template").read_text()
    for address in addresses:
        user = (address or "").removeprefix("redis://").partition(":")[0]
        assert f"\nuser {user} on #" in template


def test_the_router_requires_keys_and_keeps_its_operations_inside() -> None:
    assert environment("router")["SLUICE_API_KEYS"] == "/run/secrets/api_keys"
    command = SERVICES["router"]["command"]
    operations_port = command[command.index("--operations-port") + 1]
    assert not [
        port for port in SERVICES["router"]["ports"] if port.endswith(f":{operations_port}")
    ]
    scraped = yaml.safe_load((ROOT / "ops" / "prometheus" / "prometheus.yml").read_text())
    (job,) = [one for one in scraped["scrape_configs"] if one["job_name"] == "router"]
    assert job["dns_sd_configs"][0]["port"] == int(operations_port)


def test_every_image_has_a_full_version_and_the_docs_pin_it_by_digest() -> None:
    """A digest can't be known without the registry: people resolve them, by the documented command."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    images = [*(service["image"] for service in SERVICES.values() if "image" in service), *bases]
    assert [name for name in images if not re.search(r":v?\d+\.\d+\S*$", name)] == []
    assert "--resolve-image-digests" in (ROOT / "docs/operations.md").read_text()


def test_the_temporal_ui_only_shows() -> None:
    assert environment("temporal-ui")["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"


def test_a_missing_password_stops_compose() -> None:
    lax = [
        name for name, rule in VARIABLE.findall(TEXT) if SECRET.search(name) and rule[:2] != ":?"
    ]
    assert not lax


@each_long_running
def test_each_service_has_a_health_check_and_restarts(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_service
def test_each_service_has_limits(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory"}


@each_service
def test_each_image_is_pinned(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@each_service
def test_what_a_service_waits_for_exists_and_can_happen(name: str) -> None:
    for other, rule in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        once = rule["condition"] == "service_completed_successfully"
        assert once == (other in ONE_SHOT)


@each_service
def test_volumes_and_networks_are_declared_and_files_exist(name: str) -> None:
    assert set(SERVICES[name]["networks"]) <= set(COMPOSE["networks"])
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).exists()
        else:
            assert source in COMPOSE["volumes"]


def test_published_ports_are_unique_and_local() -> None:
    addresses = [address for name in SERVICES for address in published_ports(name)]
    assert len(addresses) == len(set(addresses))
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_router_runs_twice_and_each_replica_finds_a_port() -> None:
    assert SERVICES["router"]["deploy"]["replicas"] == 2 == len(published_ports("router"))


def test_grafana_is_where_the_guide_says() -> None:
    assert published_ports("grafana") == ["127.0.0.1:3001"]


def test_containers_run_without_root() -> None:
    """By `user`, or by an image that is documented to run as another user."""
    by_image = {"qdrant", "router", "temporal", "temporal-namespace", "temporal-schema"}
    by_image |= {"ledger", "temporal-ui", "worker"}
    assert {name for name in SERVICES if "user" not in SERVICES[name]} == by_image
    assert "\nUSER sluice\n" in (ROOT / "Dockerfile").read_text()
    assert SERVICES["qdrant"]["image"].endswith("-unprivileged")


def test_every_package_of_the_wheel_reaches_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    kept = (ROOT / ".dockerignore").read_text().split()
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert not [path for path in wheel if f"!{path}" not in kept]


def test_the_worker_is_asked_and_scraped_where_it_answers() -> None:
    """Its health check asks /readyz, and Prometheus scrapes the port that it serves metrics at."""
    given = environment("worker")
    assert given["SLUICE_HEALTH"] == "worker"
    assert given["SLUICE_WORKER_HEALTH_ADDRESS"]
    scraped = yaml.safe_load((ROOT / "ops" / "prometheus" / "prometheus.yml").read_text())
    (job,) = [one for one in scraped["scrape_configs"] if one["job_name"] == "worker"]
    (found,) = job["dns_sd_configs"]
    assert found["names"] == ["worker"]
    assert (given["SLUICE_WORKER_METRICS_ADDRESS"] or "").endswith(f":{found['port']}")
