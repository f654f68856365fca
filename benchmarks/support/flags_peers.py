"""The same 25 % flag in the flag SDKs others ship, each evaluated in process without network.

A peer is set up only when its package is importable (`uv sync --group bench`); what is missing is
said in the output. Modules are imported by name, so that nothing here needs them installed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

Evaluate = Callable[[str], object]
FLAG = "phase4_online_learning"


def eppo() -> Evaluate:
    """Eppo's SDK, whose core is Rust."""
    module = import_module("eppo_client")

    class Quiet(module.AssignmentLogger):  # type: ignore[misc, name-defined]  # imported by name
        """Logs nothing."""

    variations = {key: {"key": key, "value": key == "on"} for key in ("on", "off")}
    shards = [{"salt": FLAG, "ranges": [{"start": 0, "end": 2_500}]}]
    flag = {
        "key": FLAG,
        "enabled": True,
        "variationType": "BOOLEAN",
        "variations": variations,
        "totalShards": 10_000,
        "allocations": [
            {
                "key": "rollout",
                "rules": [],
                "splits": [{"variationKey": "on", "shards": shards}],
                "doLog": False,
            }
        ],
    }
    body = {
        "createdAt": "2026-01-01T00:00:00Z",
        "format": "SERVER",
        "environment": {"name": "bench"},
        "flags": {FLAG: flag},
    }
    client = module.init(
        module.ClientConfig(
            api_key="none",
            base_url="http://127.0.0.1:9",
            assignment_logger=Quiet(),
            poll_interval_seconds=None,
            initial_configuration=module.Configuration(
                flags_configuration=json.dumps(body).encode()
            ),
        )
    )
    return lambda user: client.get_boolean_assignment(FLAG, user, {}, False)


def growthbook() -> Evaluate:
    """GrowthBook's SDK: one object, the user's attributes set for each evaluation."""
    module = import_module("growthbook")
    rule = {"force": True, "coverage": 0.25, "hashAttribute": "id"}
    client = module.GrowthBook(features={FLAG: {"defaultValue": False, "rules": [rule]}})

    def evaluate(user: str) -> object:
        client.set_attributes({"id": user})
        return client.is_on(FLAG)

    return evaluate


def launchdarkly() -> Evaluate:
    """LaunchDarkly's SDK, reading its in-memory feature store."""
    client_module, config = import_module("ldclient"), import_module("ldclient.config")
    store_module = import_module("ldclient.feature_store")
    kinds = import_module("ldclient.versioned_data_kind")
    weights = [{"variation": 0, "weight": 25_000}, {"variation": 1, "weight": 75_000}]
    flag = {
        "key": FLAG,
        "version": 1,
        "on": True,
        "variations": [True, False],
        "offVariation": 1,
        "salt": "salt",
        "fallthrough": {"rollout": {"variations": weights}},
    }
    store = store_module.InMemoryFeatureStore()
    store.init({kinds.FEATURES: {FLAG: flag}, kinds.SEGMENTS: {}})
    settings = config.Config("none", feature_store=store, use_ldd=True, send_events=False)
    client = client_module.LDClient(settings, start_wait=0)
    build = client_module.Context.create
    return lambda user: client.variation(FLAG, build(user), False)


def unleash() -> Evaluate:
    """Unleash's SDK from a bootstrap, without metrics."""
    module, cache_module = import_module("UnleashClient"), import_module("UnleashClient.cache")
    parameters = {"rollout": "25", "stickiness": "userId", "groupId": FLAG}
    strategy = {"name": "flexibleRollout", "parameters": parameters}
    feature = {"name": FLAG, "enabled": True, "strategies": [strategy]}
    cache = cache_module.FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 1, "features": [feature]})
    client = module.UnleashClient(
        url="http://127.0.0.1:9",
        app_name="bench",
        cache=cache,
        disable_metrics=True,
        disable_registration=True,
    )
    client.initialize_client(fetch_toggles=False)
    return lambda user: client.is_enabled(FLAG, {"userId": user})


def flagd() -> Evaluate:
    """OpenFeature with flagd's in-process engine on a file."""
    api = import_module("openfeature.api")
    context = import_module("openfeature.evaluation_context").EvaluationContext
    provider = import_module("openfeature.contrib.provider.flagd")
    config = import_module("openfeature.contrib.provider.flagd.config")
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"fractional": [["on", 25], ["off", 75]]},
    }
    path = Path(tempfile.mkdtemp()) / "flags.json"
    path.write_text(json.dumps({"flags": {FLAG: flag}}))
    api.set_provider_and_wait(
        provider.FlagdProvider(
            resolver_type=config.ResolverType.FILE, offline_flag_source_path=str(path)
        ),
        "flagd",
    )
    client = api.get_client("flagd")
    return lambda user: client.get_boolean_value(FLAG, False, context(targeting_key=user))


PEERS: dict[str, Callable[[], Evaluate]] = {
    "Eppo": eppo,
    "GrowthBook": growthbook,
    "LaunchDarkly": launchdarkly,
    "Unleash": unleash,
    "OpenFeature + flagd": flagd,
}
