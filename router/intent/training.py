"""Training: TF-IDF n-grams and sentence vectors together, one calibrated linear model."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]  # no stubs
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # no stubs
from sklearn.feature_extraction.text import (  # type: ignore[import-untyped]  # no stubs
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # no stubs
from sklearn.model_selection import (  # type: ignore[import-untyped]  # no stubs
    StratifiedKFold,
    cross_val_predict,
)

from router.embedding import Embedder, LocalEmbedder
from router.intent.model import ANALYSERS, GramBlock, IntentModel
from router.intent.types import INTENTS, Example, IntentModelError

FOLDS = 5
_EXAMPLE = TypeAdapter(Example)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What cross-validation chose.

    ``regularisation`` is scikit-learn's C (higher: freer); ``words``, ``characters`` and ``vector``
    weigh the three kinds of feature against each other.
    """

    regularisation: float = 20.0
    words: float = 1.0
    characters: float = 1.5
    vector: float = 1.0
    minimum_count: int = 1


def read_examples(path: Path) -> list[Example]:
    """Read JSON lines of ``query``, ``intent`` and, if known, ``difficulty``.

    Raises:
        IntentModelError: a line that is not such an object, with its number.
    """
    examples = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if line.strip():
            try:
                example = _EXAMPLE.validate_json(line, strict=True)
            except ValidationError as error:
                raise IntentModelError(
                    f'{path}:{number}: expected {{"query": …, "intent": …}} ({error.errors()[0]["msg"]})'
                ) from error
            examples.append(example)
    return examples


def with_background(examples: Iterable[Example]) -> list[Example]:
    """A team's examples on top of the project's own, which give way where both know a question.

    A few hundred examples alone leave most wordings, and out_of_scope, unseen.
    """
    mine = list(examples)
    known = {example.query.lower() for example in mine}
    shipped = read_examples(Path(__file__).parent / "questions.jsonl")
    return mine + [example for example in shipped if example.query.lower() not in known]


def train(
    examples: Iterable[Example], embedder: Embedder, recipe: Recipe | None = None
) -> IntentModel:
    """Fit a model; the same examples and vectors give the same model.

    Raises:
        IntentModelError: an unknown intent, or too few examples of one.
    """
    rows = list(examples)
    _check(rows)
    recipe = recipe or Recipe()
    vectors = embedder.embed([row.query for row in rows])
    labels = np.array([row.intent for row in rows])
    blocks = _blocks([row.query for row in rows], recipe)
    features = _features([row.query for row in rows], blocks, vectors * recipe.vector)
    fitted = _estimator(recipe).fit(features, labels)
    coefficients, intercept = _all_rows(fitted)
    return IntentModel(
        classes=tuple(str(name) for name in fitted.classes_),
        blocks=blocks,
        vector_scale=recipe.vector,
        coefficients=coefficients,
        intercept=intercept,
        temperature=_temperature(features, labels, recipe),
    )


def _check(rows: Sequence[Example]) -> None:
    counts = Counter(row.intent for row in rows)
    unknown = sorted(set(counts) - set(INTENTS))
    if unknown:
        raise IntentModelError(f"unknown intent {unknown[0]!r}; known are {', '.join(INTENTS)}")
    if len(counts) <= 1:
        raise IntentModelError("training needs examples of at least two intents")
    rare = [name for name, count in counts.items() if count < FOLDS]
    if rare:
        raise IntentModelError(f"fewer than {FOLDS} examples of {rare[0]!r}; add some")
    if any(not row.query.strip() for row in rows):
        raise IntentModelError("an example has an empty query")


def _blocks(queries: Sequence[str], recipe: Recipe) -> tuple[GramBlock, ...]:
    scales = (recipe.words, recipe.characters)
    blocks = []
    for analyse, scale in zip(ANALYSERS.values(), scales, strict=True):
        counted = TfidfVectorizer(
            analyzer=analyse, sublinear_tf=True, min_df=recipe.minimum_count
        ).fit(queries)
        grams = counted.get_feature_names_out().tolist()
        idf = np.asarray(counted.idf_, dtype=np.float32)
        blocks.append(GramBlock(analyse, {gram: at for at, gram in enumerate(grams)}, idf, scale))
    return tuple(blocks)


def _features(
    queries: Sequence[str], blocks: Sequence[GramBlock], vectors: NDArray[np.float32]
) -> csr_matrix:
    parts = [_sparse([block.row(query) for query in queries], len(block.idf)) for block in blocks]
    return hstack([*parts, csr_matrix(vectors)], format="csr")


def _sparse(
    rows: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]], width: int
) -> csr_matrix:
    pointers = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in rows])])
    columns = np.concatenate([columns for columns, _ in rows])
    values = np.concatenate([values for _, values in rows])
    return csr_matrix((values, columns, pointers), shape=(len(rows), width))


def _estimator(recipe: Recipe) -> LogisticRegression:
    return LogisticRegression(C=recipe.regularisation, max_iter=2000, class_weight="balanced")


def _all_rows(fitted: LogisticRegression) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One row per class; for two classes scikit-learn keeps only the second's, against zero."""
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(coefficients) < len(fitted.classes_):
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercept = np.concatenate([[0.0], intercept])
    return coefficients.astype(np.float32), intercept.astype(np.float32)


def _temperature(features: csr_matrix, labels: NDArray[np.str_], recipe: Recipe) -> float:
    """The divisor under which held-out log loss is smallest, from cross-validated scores."""
    scores = cross_val_predict(
        _estimator(recipe),
        features,
        labels,
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0),
        method="decision_function",
    )
    if scores.ndim == 1:
        scores = np.column_stack([np.zeros_like(scores), scores])
    truth = np.searchsorted(np.unique(labels), labels)

    def loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        peak = scaled.max(axis=1, keepdims=True)
        total = peak[:, 0] + np.log(np.exp(scaled - peak).sum(axis=1))
        return float((total - scaled[np.arange(len(truth)), truth]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def rebuild() -> None:
    """Train the shipped model again after a change to the questions or the recipe."""
    examples = with_background([])
    model = train(examples, LocalEmbedder(recent=len(examples)))
    model.save(Path(__file__).parent / "model.npz")


if __name__ == "__main__":
    rebuild()
