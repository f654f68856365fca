"""Texts of a team's Qdrant collections, by meaning; by words where no model of ours fits.

One HTTP request a collection.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from router.backends.base import Hit, SearchRequest, Vector
from router.backends.point_search import POINT_SEARCH_ERRORS, PointSearch
from router.catalog.folding import fold_text
from router.catalog.model import Catalog, CatalogKind
from router.catalog.qdrant_discovery import LOCAL_MODEL
from router.catalog_search.form_search import FormResult, FormSearch
from router.catalog_search.rows import row_hit
from router.catalog_search.word_ranking import rank_by_words
from router.embedding import Embedder, EmbeddingError
from router.errors import StoreUnavailable
from router.overload.timeouts import wait_within
from router.question.language.grammar import FUNCTION_WORDS
from router.question.rights import row_conditions

WORDS_MAX = 12
CANDIDATES = 15
"""Neighbours whose words are compared with the question's."""
EMBEDDING_SECONDS = 0.8
"""Wait for another model's vector at most; afterwards the words are searched."""
WORDS_ONLY_SCORE = 0.5
"""Score of a hit by words alone at most: it is not comparable with a cosine."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TextSearch:
    """Searches every visible collection. ``client`` belongs to the caller, who closes it."""

    client: PointSearch
    catalog: Catalog
    embedders: Mapping[str, Embedder] = field(default_factory=dict)
    """Models of collections by their name in the catalogue, apart from the local one."""
    name: str = "qdrant"

    async def search(self, search: SearchRequest) -> FormResult:
        """Run one search.

        Raises:
            StoreUnavailable: the store failed.
            CatalogError: the caller may not ask.
        """
        caller = search.caller if isinstance(search, FormSearch) else {}
        kinds = list(self.catalog.of_store("qdrant"))
        vectors = await self._embed(search, [kind for _, kind in kinds])
        try:
            hits_by_collection = await asyncio.gather(
                *(self._collection(name, kind, (search, vectors), caller) for name, kind in kinds)
            )
        except POINT_SEARCH_ERRORS as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error
        all_hits = [hit for collection_hits in hits_by_collection for hit in collection_hits]
        hits = rank_by_words(search.query, all_hits)
        left_out = tuple(
            f"the meaning of the question in {name}: {_why_words(kind)}, so it was searched by words"
            for name, kind in kinds
            if kind.embedding not in vectors
        )
        return FormResult(hits[: search.limit], left_out=left_out)

    async def _embed(
        self, search: SearchRequest, kinds: Sequence[CatalogKind]
    ) -> dict[str | None, Vector]:
        """Return the question's vector of each model that can be asked; one that fails has none."""
        vectors: dict[str | None, Vector] = {LOCAL_MODEL: search.embedding}
        for model in {kind.embedding for kind in kinds} & self.embedders.keys():
            try:
                embed = asyncio.to_thread(self.embedders[model or ""].embed, [search.query])
                rows = await wait_within(EMBEDDING_SECONDS, embed)
            except (EmbeddingError, TimeoutError) as error:
                logger.warning("embedding_failed", model=model, reason=repr(error))
            else:
                vectors[model] = rows[0]
        return vectors

    async def health(self) -> None:
        """Return when the store answers. Raises StoreUnavailable."""
        try:
            await self.client.require_available()
        except POINT_SEARCH_ERRORS as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error

    async def _collection(
        self,
        name: str,
        kind: CatalogKind,
        search_and_vectors: tuple[SearchRequest, Mapping[str | None, Vector]],
        caller: Mapping[str, str | None],
    ) -> list[Hit]:
        search, vectors = search_and_vectors
        rights = _filter(name, kind, caller)
        vector = vectors.get(kind.embedding)
        if vector is not None:
            return await self._by_meaning(name, kind, (vector, search.limit), rights)
        return await self._by_words(name, kind, search, rights)

    async def _by_meaning(
        self,
        name: str,
        kind: CatalogKind,
        vector_and_limit: tuple[Vector, int],
        rights: Mapping[str, Any],
    ) -> list[Hit]:
        vector, limit = vector_and_limit[0], max(vector_and_limit[1], CANDIDATES)
        body: dict[str, Any] = {
            "query": vector.tolist(),
            "limit": limit,
            "with_payload": list(kind.visible),
            "filter": rights or None,
        }
        if kind.vector is not None:
            body["using"] = kind.vector
        points = await self._post(kind.source, "query", body)
        return [_hit(name, kind, point, point["score"]) for point in points if point["score"] > 0]

    async def _by_words(
        self, name: str, kind: CatalogKind, search: SearchRequest, rights: Mapping[str, Any]
    ) -> list[Hit]:
        """Ask the payload's full-text index for any of the words; count them here."""
        words = [word for word in fold_text(search.query).split() if word not in FUNCTION_WORDS]
        columns = [c for c in (*kind.title, *kind.text) if c in kind.visible]
        any_word = [
            {"key": column, "match": {"text": word}}
            for word in words[:WORDS_MAX]
            for column in columns
        ]
        if not any_word:
            return []
        body = {
            "filter": {**rights, "should": any_word},
            "limit": 10 * search.limit,
            "with_payload": list(kind.visible),
        }
        points = await self._post(kind.source, "scroll", body)
        return [_hit(name, kind, point, _share(words, point)) for point in points]

    async def _post(
        self, collection: str, operation: str, body: Mapping[str, Any]
    ) -> Sequence[Mapping[str, Any]]:
        request = {key: value for key, value in body.items() if value is not None}
        return await self.client.post(collection, operation, request)


def _why_words(kind: CatalogKind) -> str:
    if kind.embedding is None:
        return "the catalogue does not name the model of its vectors"
    return f"no vector of {kind.embedding} could be made"


def _share(words: Sequence[str], point: Mapping[str, Any]) -> float:
    text = set(fold_text(" ".join(map(str, (point.get("payload") or {}).values()))).split())
    return WORDS_ONLY_SCORE * sum(word in text for word in words) / len(words)


def _hit(name: str, kind: CatalogKind, point: Mapping[str, Any], score: float) -> Hit:
    payload = {**(point.get("payload") or {}), "id": point["id"]}
    hit = row_hit(name, kind, payload, 0)
    text = "\n".join(str(payload[c]) for c in kind.text if payload.get(c))
    return Hit(
        id=hit.id,
        title=hit.title,
        text=text or hit.text,
        source=hit.source,
        score=max(min(float(score), 1.0), 0.0),
        kind=name,
        backend="qdrant",
        occurred_on=hit.occurred_on,
    )


def _filter(name: str, kind: CatalogKind, caller: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the rights of a collection as Qdrant's filter."""
    must, must_not = list[dict[str, Any]](), list[dict[str, Any]]()
    for condition in row_conditions(name, kind, caller):
        group = must_not if condition.negated else must
        if condition.operator == "missing":
            group.append({"is_empty": {"key": condition.column}})
        elif condition.operator == "=":
            group.append({"key": condition.column, "match": {"value": condition.values[0]}})
        else:
            bound = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}[condition.operator]
            group.append({"key": condition.column, "range": {bound: condition.values[0]}})
    return {key: value for key, value in (("must", must), ("must_not", must_not)) if value}
