"""SLUICE_INTENT_MODEL: the router decides by the model that the team trained."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from router.assembly import assemble
from router.components import RouterComponents, SuppliedClients
from router.embedding import LocalEmbedder
from router.errors import RouterSettingsError
from router.features import Features
from router.intent import load_intent_model
from router.observability.metrics import RouterMetrics
from router.settings import Settings

SHIPPED = Path(str(files("router.intent").joinpath("model.npz")))
QUESTION = "Which invoices of Baltic Foods were paid late?"
EMBEDDER = LocalEmbedder()


async def assemble_with_model(path: Path, folder: Path) -> RouterComponents:
    """As a process does it, from its environment; contacts nobody."""
    settings = Settings.from_environment(
        {"SLUICE_INTENT_MODEL": str(path), "QDRANT_PATH": str(folder / "vectors")}
    )
    return await assemble(
        SuppliedClients(embedding_service=EMBEDDER), settings, Features(), RouterMetrics()
    )


def biased_model(tmp_path: Path, intent: str) -> Path:
    """Return the shipped model, changed to answer one intent for every question."""
    model = load_intent_model(SHIPPED)
    bias = np.array([100.0 * (name == intent) for name in model.classes], np.float32)
    replace(model, intercept=bias).save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.mark.parametrize("intent", ["graph", "temporal"])
async def test_the_routers_intent_is_the_models(tmp_path: Path, intent: str) -> None:
    parts = await assemble_with_model(biased_model(tmp_path, intent), tmp_path)
    understood = await parts.understanding.analyze(QUESTION)
    await parts.close()
    assert (understood.intent.intent, understood.intent.tier) == (intent, "model")


async def test_a_missing_or_mislabelled_model_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(RouterSettingsError, match=r"SLUICE_INTENT_MODEL: .*sluice train"):
        await assemble_with_model(tmp_path / "none.npz", tmp_path)
    model = load_intent_model(SHIPPED)
    strange = tuple(f"team_{name}" for name in model.classes)
    replace(model, classes=strange).save(tmp_path / "own.npz")
    with pytest.raises(RouterSettingsError, match=r"label 'team_.*without --own-labels"):
        await assemble_with_model(tmp_path / "own.npz", tmp_path)


async def test_the_known_cosine_threshold_is_a_setting(tmp_path: Path) -> None:
    """``understood`` out of scope below it, searched from it on."""
    for known, intent in ((0.3, "semantic"), (0.9, "out_of_scope")):
        settings = Settings.from_environment({"SLUICE_KNOWN_COSINE": str(known)})
        assert settings.limits.known_cosine == known
        given = SuppliedClients(embedding_service=EMBEDDER)
        settings = replace(settings, stores=replace(settings.stores, qdrant_path=str(tmp_path)))
        parts = await assemble(given, settings, Features(), RouterMetrics())
        parts.understanding._nearest_cosine = half
        understood = await parts.understanding.analyze("Good morning, how are you?")
        await parts.close()
        assert understood.intent.intent == intent
    for wrong in ("0", "1.5", "near"):
        with pytest.raises(RouterSettingsError, match="SLUICE_KNOWN_COSINE"):
            Settings.from_environment({"SLUICE_KNOWN_COSINE": wrong})


async def half(_: object) -> float:
    return 0.5
