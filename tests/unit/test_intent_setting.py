"""SLUICE_INTENT_MODEL: the router decides by the model that the team trained."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from router.assembly import Given, Parts, assemble
from router.embedding import LocalEmbedder
from router.errors import SettingsError
from router.intent import load
from router.metrics import Metrics
from router.options import Features
from router.settings import Settings

SHIPPED = Path(str(files("router.intent").joinpath("model.npz")))
QUESTION = "Which invoices of Baltic Foods were paid late?"
EMBEDDER = LocalEmbedder()


async def assembled(path: Path, folder: Path) -> Parts:
    """As a process does it, from its environment; contacts nobody."""
    settings = Settings.from_environment(
        {"SLUICE_INTENT_MODEL": str(path), "QDRANT_PATH": str(folder / "vectors")}
    )
    return await assemble(Given(embedding_service=EMBEDDER), settings, Features(), Metrics())


def biased(tmp_path: Path, intent: str) -> Path:
    """The shipped model, made to answer one intent whatever is asked."""
    model = load(SHIPPED)
    bias = np.array([100.0 * (name == intent) for name in model.classes], np.float32)
    replace(model, intercept=bias).save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.mark.parametrize("intent", ["graph", "temporal"])
async def test_the_routers_intent_is_the_models(tmp_path: Path, intent: str) -> None:
    parts = await assembled(biased(tmp_path, intent), tmp_path)
    understood = await parts.understanding.of(QUESTION)
    await parts.close()
    assert (understood.intent.intent, understood.intent.tier) == (intent, "model")


async def test_a_model_that_is_none_or_has_other_labels_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SLUICE_INTENT_MODEL: .*sluice train"):
        await assembled(tmp_path / "none.npz", tmp_path)
    model = load(SHIPPED)
    strange = tuple(f"team_{name}" for name in model.classes)
    replace(model, classes=strange).save(tmp_path / "own.npz")
    with pytest.raises(SettingsError, match=r"label 'team_.*without --own-labels"):
        await assembled(tmp_path / "own.npz", tmp_path)


async def test_the_threshold_of_what_stores_know_is_a_setting(tmp_path: Path) -> None:
    """``understood`` out of scope below it, searched from it on."""
    for known, intent in ((0.3, "semantic"), (0.9, "out_of_scope")):
        settings = Settings.from_environment({"SLUICE_KNOWN_COSINE": str(known)})
        assert settings.limits.known_cosine == known
        given = Given(embedding_service=EMBEDDER)
        settings = replace(settings, stores=replace(settings.stores, qdrant_path=str(tmp_path)))
        parts = await assemble(given, settings, Features(), Metrics())
        parts.understanding._evidence = half
        understood = await parts.understanding.of("Good morning, how are you?")
        await parts.close()
        assert understood.intent.intent == intent
    for wrong in ("0", "1.5", "near"):
        with pytest.raises(SettingsError, match="SLUICE_KNOWN_COSINE"):
            Settings.from_environment({"SLUICE_KNOWN_COSINE": wrong})


async def half(_: object) -> float:
    return 0.5
