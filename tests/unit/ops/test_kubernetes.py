"""ops/kubernetes is valid by Kubernetes' own schemas, and keeps our promises; the systemd unit too."""

import configparser
import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest
import yaml

from sluice.worker.settings import VARIABLES, WorkerSettings

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "ops" / "kubernetes"
DOCUMENTED = (ROOT / "docs" / "configuration.md").read_text()
VERSIONS = ("1.30", kubernetes_validate.latest_version())
MANIFESTS: list[dict[str, Any]] = [
    manifest
    for path in sorted(FOLDER.glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
]
DEPLOYMENTS = {m["metadata"]["name"]: m for m in MANIFESTS if m["kind"] == "Deployment"}
each_manifest = pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
each_deployment = pytest.mark.parametrize("name", sorted(DEPLOYMENTS))


def pod_spec(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    return spec


def container_spec(name: str) -> dict[str, Any]:
    (only,) = pod_spec(name)["containers"]
    found: dict[str, Any] = only
    return found


def environment(name: str) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container_spec(name).get("env", [])}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside kubernetes-validate
@pytest.mark.parametrize("version", VERSIONS)
@each_manifest
def test_each_manifest_is_valid(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


@each_deployment
def test_each_pod_is_confined_and_limited(name: str) -> None:
    assert pod_spec(name)["securityContext"]["runAsNonRoot"] is True
    assert pod_spec(name)["automountServiceAccountToken"] is False
    security = container_spec(name)["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert set(container_spec(name)["resources"]["limits"]) == {"cpu", "memory"}


@each_deployment
def test_a_new_version_is_ready_before_the_old_one_goes(name: str) -> None:
    spec = DEPLOYMENTS[name]["spec"]
    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert container_spec(name)["readinessProbe"]["httpGet"]["path"] == "/readyz"
    budgets = [m for m in MANIFESTS if m["kind"] == "PodDisruptionBudget"]
    assert any(b["spec"]["selector"] == spec["selector"] for b in budgets)


@each_deployment
def test_selectors_find_their_pods_and_probes_their_ports(name: str) -> None:
    template = DEPLOYMENTS[name]["spec"]["template"]
    wanted = DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= template["metadata"]["labels"].items()
    ports = {port["name"] for port in container_spec(name)["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container_spec(name)[probe]["httpGet"]["port"] in ports


def test_every_variable_is_one_we_read() -> None:
    (config,) = [m for m in MANIFESTS if m["kind"] == "ConfigMap"]
    used = set(config["data"]).union(*(environment(name) for name in DEPLOYMENTS))
    assert not [name for name in used if f"| `{name}` |" not in DOCUMENTED]


def test_the_worker_has_time_to_drain_and_probes_where_it_answers() -> None:
    given = WorkerSettings.read(environment("sluice-worker"))
    assert pod_spec("sluice-worker")["terminationGracePeriodSeconds"] > given.drain_seconds
    ports = {
        port["name"]: port["containerPort"] for port in container_spec("sluice-worker")["ports"]
    }
    assert given.health_address.endswith(f":{ports['health']}")
    assert given.metrics_address.endswith(f":{ports['metrics']}")


def test_the_systemd_unit_drains_always_restarts_and_is_limited() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(ROOT / "ops" / "systemd" / "sluice-worker.service")
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert float(service["TimeoutStopSec"]) > WorkerSettings().drain_seconds
    assert service["DynamicUser"] == "yes"
    assert {"memorymax", "cpuquota"} <= set(service)


def test_manifests_hold_no_secret() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    assert not re.search(r"^\s+(\w*(PASSWORD|KEYS?|DSN|TOKEN)): \S", text, re.MULTILINE)
    assert "REDIS_URL" in VARIABLES.values()


@each_deployment
def test_each_workload_has_its_own_secret(name: str) -> None:
    secrets = [source["secretRef"]["name"] for source in container_spec(name)["envFrom"][1:]]
    assert secrets == [name]


def test_the_router_requires_keys_and_no_service_exposes_its_operations() -> None:
    assert environment("sluice-router")["SLUICE_API_KEYS"] == "/etc/sluice/keys"
    (service,) = [m for m in MANIFESTS if m["kind"] == "Service"]
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container_spec("sluice-router")[probe]["httpGet"]["port"] == "operations"


def test_traffic_is_denied_unless_a_policy_allows_it() -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in MANIFESTS if m["kind"] == "NetworkPolicy"}
    everything = policies["sluice-default-deny"]
    assert everything["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & everything.keys()
    assert set(DEPLOYMENTS) <= policies.keys()
    for name in DEPLOYMENTS:
        rules = [*policies[name]["ingress"], *policies[name]["egress"]]
        assert all(rule.get("ports") and (rule.get("from") or rule.get("to")) for rule in rules)
        labels = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]
        assert everything["podSelector"]["matchLabels"].items() <= labels.items()
