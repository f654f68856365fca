"""The chart renders manifests valid by Kubernetes' schemas that keep our promises; systemd's unit too."""

import configparser
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest
import yaml

from sluice.worker.settings import VARIABLES, WorkerSettings

chart = pytest.importorskip("helm_python.chart", reason="helm-python-sdk has x86-64 wheels only")

ROOT = Path(__file__).parents[3]
CHART = ROOT / "ops" / "helm"
DOCUMENTED = (ROOT / "docs" / "configuration.md").read_text()
VERSIONS = ("1.25", kubernetes_validate.latest_version())
CONSOLE = {"env": {"SLUICE_CONSOLE_URL": "https://sluice.example.org"}}
VALUES: dict[str, Any] = {"components": {"console": CONSOLE, "router": {"enabled": True}}}


def render(values: dict[str, Any], release: str = "sluice") -> list[dict[str, Any]]:
    with chart.Chart.load(CHART) as loaded:
        texts = loaded.render(values, name=release, namespace="rollouts")
    documents = (yaml.safe_load_all(text) for name, text in texts.items() if ".yaml" in name)
    return [manifest for each in documents for manifest in each if manifest]


MANIFESTS = render(VALUES)
DEPLOYMENTS = {m["metadata"]["name"]: m for m in MANIFESTS if m["kind"] == "Deployment"}
POLICIES = {m["metadata"]["name"]: m["spec"] for m in MANIFESTS if m["kind"] == "NetworkPolicy"}
each_manifest = pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
each_deployment = pytest.mark.parametrize("name", sorted(DEPLOYMENTS))


def pod_spec(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    return spec


def container_spec(name: str) -> dict[str, Any]:
    (container,) = pod_spec(name)["containers"]
    spec: dict[str, Any] = container
    return spec


def environment(name: str) -> dict[str, str]:
    variables = container_spec(name).get("env", [])
    return {variable["name"]: variable.get("value", "") for variable in variables}


def port_names(name: str) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container_spec(name)["ports"]}


def test_helm_lints_the_chart() -> None:
    report = chart.lint(CHART, VALUES, strict=True)
    assert (report["total_charts_linted"], report["errors"]) == (1, [])
    assert [m["error"] for m in report["messages"]] == ["icon is recommended"]


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
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert set(container_spec(name)["resources"]["limits"]) == {"cpu", "memory"}


@each_deployment
def test_replicas_are_never_all_away(name: str) -> None:
    """The console is one process: its sessions and passkeys are its own."""
    spec = DEPLOYMENTS[name]["spec"]
    budgets = [m["spec"] for m in MANIFESTS if m["kind"] == "PodDisruptionBudget"]
    if name == "sluice-console":
        assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
        return
    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert container_spec(name)["readinessProbe"]["httpGet"]["path"] == "/readyz"
    (budget,) = [each for each in budgets if each["selector"] == spec["selector"]]
    assert budget["maxUnavailable"] == 1


@each_deployment
def test_selectors_find_their_pods_and_ports_exist(name: str) -> None:
    template = DEPLOYMENTS[name]["spec"]["template"]
    selector = DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container_spec(name)[probe]["httpGet"]["port"] in port_names(name)
    for rule in POLICIES[name]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= port_names(name).keys()


@each_deployment
def test_traffic_is_refused_unless_it_is_named(name: str) -> None:
    labels = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"].items()
    deny = POLICIES["sluice-default-deny"]
    assert deny["podSelector"]["matchLabels"].items() <= labels
    assert (deny["policyTypes"], "ingress" in deny) == (["Ingress", "Egress"], False)
    assert [rule["ports"][0]["port"] for rule in deny["egress"]] == [53]
    rules = POLICIES[name]["ingress"] + POLICIES[name]["egress"]
    assert rules
    for rule in rules:
        peers = rule.get("from", []) + rule.get("to", [])
        assert rule["ports"]
        assert all(peer.get("podSelector") or peer.get("namespaceSelector") for peer in peers)


def test_the_worker_reaches_each_process_that_it_reads_back() -> None:
    ports = {rule["ports"][0]["port"] for rule in POLICIES["sluice-worker"]["egress"]}
    assert port_names("sluice-flags")["readback"] in ports
    assert port_names("sluice-router")["operations"] in ports


def test_every_variable_is_one_we_read() -> None:
    (config,) = [m for m in MANIFESTS if m["kind"] == "ConfigMap"]
    used = set(config["data"]).union(*(environment(name) for name in DEPLOYMENTS))
    assert not [name for name in used if f"| `{name}` |" not in DOCUMENTED]


def test_the_worker_has_time_to_drain_and_probes_where_it_answers() -> None:
    settings = WorkerSettings.read(environment("sluice-worker"))
    assert pod_spec("sluice-worker")["terminationGracePeriodSeconds"] > settings.drain_seconds
    ports = port_names("sluice-worker")
    assert settings.health_address.endswith(f":{ports['health']}")
    assert settings.metrics_address.endswith(f":{ports['metrics']}")
    assert "REDIS_URL" in VARIABLES.values()


@each_deployment
def test_each_workload_has_its_own_secret(name: str) -> None:
    sources = [list(source) for source in container_spec(name)["envFrom"]]
    assert sources == [["configMapRef"], ["secretRef"]]
    secrets = [container_spec(each)["envFrom"][1]["secretRef"]["name"] for each in DEPLOYMENTS]
    assert len(set(secrets)) == len(DEPLOYMENTS)


@each_deployment
def test_processes_that_others_reach_require_keys(name: str) -> None:
    mounts = {mount["mountPath"] for mount in container_spec(name)["volumeMounts"]}
    assert "/etc/sluice" in mounts or name == "sluice-worker"
    assert "SLUICE_OPEN_ACCESS" not in environment(name)


def test_two_releases_share_a_namespace() -> None:
    """An environment each: nothing has the same name, and no selector finds the other's pods."""
    other = render(VALUES, "staging")
    names = {(m["kind"], m["metadata"]["name"]) for m in MANIFESTS}
    assert not names & {(m["kind"], m["metadata"]["name"]) for m in other}
    staging = [m["spec"]["selector"]["matchLabels"] for m in other if m["kind"] == "Deployment"]
    ours = [d["spec"]["template"]["metadata"]["labels"].items() for d in DEPLOYMENTS.values()]
    assert not [s for s in staging for labels in ours if s.items() <= labels]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "components.console.env.SLUICE_CONSOLE_URL is missing"),
        ({"components": {"flags": {"keys": ""}}}, "/components/flags/keys"),
        ({"components": {"worker": {"secret": ""}}}, "/components/worker/secret"),
        ({"components": {"worker": {"replica": 3}}}, "'replica' not allowed"),
        ({"components": {"console": {"replicas": 2}}}, "/components/console/replicas"),
        ({"settings": {"REDIS_URL": "redis://:secret@redis"}}, "REDIS_URL"),
        ({"settings": {"PROMETHEUS_PASSWORD": "secret"}}, "PROMETHEUS_PASSWORD"),
        (
            {"components": {"worker": {"storage": {"accessMode": "ReadWriteOnce"}}}},
            "/components/worker",
        ),
        (
            {"components": {"console": CONSOLE, "worker": {"egress": ["vault"]}}},
            "networkPolicy.peers.vault is missing",
        ),
    ],
)
def test_unsafe_or_wrong_values_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(Exception, match=problem):
        render(values)


def test_an_image_is_pinned_by_its_digest() -> None:
    digest = f"sha256:{'a' * 64}"
    manifests = render({**VALUES, "image": {"digest": digest, "repository": "registry/sluice"}})
    deployments = [m["spec"]["template"]["spec"] for m in manifests if m["kind"] == "Deployment"]
    images = {container["image"] for spec in deployments for container in spec["containers"]}
    assert images == {f"registry/sluice@{digest}"}


def test_the_values_table_is_complete() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    text = (ROOT / "docs" / "kubernetes.md").read_text()
    fields = {field for component in values["components"].values() for field in component}
    assert not [name for name in {*values, *fields} if f"`{name}`" not in text]


def test_the_systemd_unit_drains_always_restarts_and_is_limited() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(ROOT / "ops" / "systemd" / "sluice-worker.service")
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert float(service["TimeoutStopSec"]) > WorkerSettings().drain_seconds
    assert service["DynamicUser"] == "yes"
    assert {"memorymax", "cpuquota"} <= set(service)
