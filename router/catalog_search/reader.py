"""The reader of a process: made from the catalogue at once, with the stores' values when read."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date

import structlog

from router.catalog.english import load_english
from router.catalog.model import Catalog
from router.catalog.values import ColumnValues, KindValues, ValueIndex
from router.catalog.vocabulary import Vocabulary
from router.catalog_search.value_source import ValueSource
from router.catalog_search.value_store import ValueStore
from router.embedding import Embedder
from router.question.language.near import NearWords
from router.question.reading import QuestionReader, QuestionReading

REFRESH_SECONDS = 600.0
RETRY_SECONDS = 10.0
logger = structlog.get_logger(__name__)


class CatalogReader:
    """Reads questions over a catalogue; ``run`` keeps its values fresh.

    Until the values are read, questions are read by names, numbers and times alone, and every other
    word is in ``left_out``.
    """

    def __init__(
        self, catalog: Catalog, embedder: Embedder, source: ValueSource, store: ValueStore
    ) -> None:
        english = load_english()
        self.catalog = catalog
        self._vocabulary = Vocabulary(catalog, english)
        self._places = english.places
        self._near = NearWords(catalog, embedder)
        self._source = source
        self._store = store
        self._reader = self._build_reader({})
        self._values_read = asyncio.Event()

    def read(
        self, question: str, today: date, caller: Mapping[str, str | None]
    ) -> list[QuestionReading]:
        """Return the readings, surest first. Blocks for milliseconds: call it on a thread."""
        return self._reader.read(question, today, caller)

    @property
    def values_read(self) -> bool:
        """Return true once the stores' values are known."""
        return self._values_read.is_set()

    async def wait_until_read(self) -> None:
        """Return once the stores' values are known."""
        await self._values_read.wait()

    async def refresh(self) -> None:
        """Read the values from Redis, else from the stores, and use them from now on."""
        values: Mapping[str, Sequence[ColumnValues]] | None = await self._store.load(self.catalog)
        if values is None:
            values = {
                name: column_values async for name, column_values in self._source.read(self.catalog)
            }
            await self._store.save(self.catalog, values)
        self._reader = await asyncio.to_thread(self._build_reader, values)
        self._values_read.set()

    async def run(self) -> None:
        """Refresh until cancelled; log an error and try again."""
        while True:
            try:
                await self.refresh()
                await asyncio.sleep(REFRESH_SECONDS)
            except Exception:
                logger.exception("catalog_values_not_read")
                await asyncio.sleep(RETRY_SECONDS)

    def _build_reader(self, values: KindValues) -> QuestionReader:
        index = ValueIndex(self.catalog, values, self._places)
        return QuestionReader(self.catalog, self._vocabulary, index, self._near)
