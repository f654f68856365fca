"""An ingestion in a process of its own, and an embedder for it that needs no model."""

import asyncio
import multiprocessing
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.knowledge.ingestion import Ingestion
from router.knowledge.sources import SourceError, find_sources, load_source
from router.settings import StoreSettings
from router.store_clients import open_stores_for_writing

PROCESSES = multiprocessing.get_context("forkserver")
"""Its server imports this module once: a process that is killed costs no import."""
PROCESSES.set_forkserver_preload([__name__])


class CountingEmbedder:
    """A vector per text without a model; counts what it was asked for."""

    dimension = 384

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls_left = 1_000_000

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise OSError("stopped in the middle")
        self.texts += texts
        vectors = np.stack([np.random.default_rng(len(t)).standard_normal(384) for t in texts])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def ingest_files(parent: Path, stores: StoreSettings) -> None:
    """Ingest the folder ``files`` below ``parent``."""
    os.chdir(parent)
    asyncio.run(_ingest_files(stores))


async def _ingest_files(settings: StoreSettings) -> None:
    stores = await open_stores_for_writing(settings)
    ingestion = Ingestion(stores, CountingEmbedder(), None)
    await ingestion.prepare()
    for name in find_sources(["files"]):
        with suppress(SourceError):
            await ingestion.ingest_source(load_source(str(name)), lambda _: None)
    await ingestion.finish()
    await stores.close()


async def kill_ingestion(parent: Path, stores: StoreSettings, seconds: float) -> None:
    """Start an ingestion and kill it after so many seconds, wherever it is."""
    process = PROCESSES.Process(target=ingest_files, args=(parent, stores))
    process.start()
    await asyncio.sleep(seconds)
    process.kill()
    await asyncio.to_thread(process.join)
    process.close()
