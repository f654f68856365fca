"""The values of the index in Redis, so that processes need not read the stores again.

One key holds all: zlib-compressed JSON, bounded, with the catalogue's fingerprint. Redis holds
what Sluice needs for itself; the team's stores are only read.
"""

import hashlib
import json
import time
import zlib
from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis

from router.catalog.model import Catalog
from router.catalog.values import ColumnValues, KindValues

BYTES_MAX = 64 * 1024 * 1024
TTL_SECONDS = 7 * 24 * 3600
FRESH_SECONDS = 3600.0
"""Older values are read from the stores again, so that new rows are found by name."""


def fingerprint(catalog: Catalog) -> str:
    """Return a digest of what the index depends on."""
    kinds: dict[str, object] = {
        name: (kind.source, sorted(kind.visible), list(kind.title), list(kind.where))
        for name, kind in catalog.visible_kinds.items()
    }
    kinds |= {name: sorted(link.properties) for name, link in catalog.visible_links.items()}
    return hashlib.sha256(json.dumps(kinds, sort_keys=True).encode()).hexdigest()[:16]


class ValueStore:
    """Reads and writes the values of one environment. Every call raises redis.RedisError."""

    def __init__(self, redis: Redis, environment: str) -> None:
        self._redis = redis
        self._key = f"sluice:{environment}:catalog:values"

    async def load(self, catalog: Catalog) -> dict[str, list[ColumnValues]] | None:
        """Return the values; None where there are none for this catalogue, or only old ones."""
        packed = await cast("Awaitable[bytes | None]", self._redis.get(self._key))
        if packed is None:
            return None
        document = json.loads(zlib.decompress(packed))
        fresh = time.time() - document.get("saved_at", 0.0) < FRESH_SECONDS
        if not fresh or document.get("fingerprint") != fingerprint(catalog):
            return None
        return {
            kind: [
                ColumnValues(
                    tuple(entry["columns"]),
                    [tuple(v) for v in entry["values"]],
                    entry["complete"],
                    tuple((variable, value) for variable, value in entry["scope"]),
                )
                for entry in columns
            ]
            for kind, columns in document["kinds"].items()
        }

    async def save(self, catalog: Catalog, values: KindValues) -> int:
        """Store the values; return the number of bytes, 0 where they exceed the bound."""
        document = {
            "fingerprint": fingerprint(catalog),
            "saved_at": time.time(),
            "kinds": {
                kind: [
                    {
                        "columns": entry.columns,
                        "values": entry.values,
                        "complete": entry.complete,
                        "scope": entry.scope,
                    }
                    for entry in columns
                ]
                for kind, columns in values.items()
            },
        }
        packed = zlib.compress(json.dumps(document).encode(), 6)
        if len(packed) > BYTES_MAX:
            return 0
        await self._redis.set(self._key, packed, ex=TTL_SECONDS)
        return len(packed)
