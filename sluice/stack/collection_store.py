"""Collections on disk, each one shard of Qdrant's embedded engine. Synchronous and thread-safe."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as edge
from qdrant_client.http import models

from sluice.stack.data_directory import write_atomically
from sluice.stack.vector_requests import convert_collection_config

T = TypeVar("T")

DEFINITION_FILE = "collection.json"


class CollectionNotFoundError(LookupError):
    def __init__(self, name: str) -> None:
        super().__init__(f"Not found: Collection `{name}` doesn't exist!")


class CollectionExistsError(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(f"Wrong input: Collection `{name}` already exists!")


class EngineError(ValueError):
    """The engine refused the request: wrong dimension, unknown vector name, bad id."""


class CollectionStore:
    """The collections below a folder. The engine locks its write log against a second process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()  # over the set of collections; shards have their own
        folder.mkdir(parents=True, exist_ok=True)
        self._shards = {
            path.parent.name: edge.EdgeShard.load(str(path.parent / "shard"))
            for path in folder.glob(f"*/{DEFINITION_FILE}")
        }

    def names(self) -> list[str]:
        return sorted(self._shards)

    def exists(self, name: str) -> bool:
        return name in self._shards

    def shard(self, name: str) -> edge.EdgeShard:
        """Return the open shard of a collection; raise CollectionNotFoundError for an unknown one."""
        try:
            return self._shards[name]
        except KeyError:
            raise CollectionNotFoundError(name) from None

    def run(self, name: str, work: Callable[[edge.EdgeShard], T]) -> T:
        """Run ``work`` on a collection; raise CollectionNotFoundError or EngineError."""
        shard = self.shard(name)
        try:
            return work(shard)
        except Exception as error:  # the engine raises bare exceptions
            raise EngineError(f"Wrong input: {error}") from error

    def create(self, name: str, definition: models.CreateCollection) -> None:
        """Create a collection; raise CollectionExistsError, or ValueError for a bad file name."""
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"Wrong input: `{name}` can't be the name of a collection")
        with self._lock:
            if name in self._shards:
                raise CollectionExistsError(name)
            folder = self._folder / name
            shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted creation
            folder.mkdir()
            shard = edge.EdgeShard.create(
                str(folder / "shard"), convert_collection_config(definition)
            )
            # Last: a folder counts as a collection once it has a definition.
            write_atomically(
                folder / DEFINITION_FILE, definition.model_dump_json(exclude_none=True)
            )
            self._shards[name] = shard

    def delete(self, name: str) -> bool:
        """Delete a collection; return False when it did not exist."""
        with self._lock:
            shard = self._shards.pop(name, None)
            if shard is None:
                return False
            (self._folder / name / DEFINITION_FILE).unlink()
            shard.close()
            shutil.rmtree(self._folder / name)
            return True

    def describe(self, name: str) -> dict[str, Any]:
        """Return the body of ``GET /collections/{name}``: counts and vector definitions."""
        shard = self.shard(name)
        info = shard.info()
        text = (self._folder / name / DEFINITION_FILE).read_text()
        definition = models.CreateCollection.model_validate_json(text)
        params = definition.model_dump(
            mode="json", include={"vectors", "sparse_vectors"}, exclude_none=True
        )
        return {
            "status": "green",
            "optimizer_status": "ok",
            "points_count": info.points_count,
            "indexed_vectors_count": info.indexed_vectors_count,
            "segments_count": info.segments_count,
            "config": {"params": params, **ENGINE_DEFAULTS},
            "payload_schema": {
                field: {
                    "data_type": str(field_info.data_type).rsplit(".")[-1].lower(),
                    "points": field_info.points,
                }
                for field, field_info in info.payload_schema.items()
            },
        }

    def close(self) -> None:
        """Flush and release every shard."""
        with self._lock:
            for shard in self._shards.values():
                shard.flush()
                shard.close()
            self._shards.clear()


# Qdrant's own defaults, which the embedded engine shares; it has no periodic flush.
ENGINE_DEFAULTS: dict[str, Any] = {
    "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
    "optimizer_config": {
        "deleted_threshold": 0.2,
        "vacuum_min_vector_number": 1000,
        "default_segment_number": 0,
        "flush_interval_sec": 0,
    },
}
