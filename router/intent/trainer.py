"""Training: TF-IDF n-grams and sentence vectors together, one calibrated linear model."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]  # no stubs
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # no stubs
from sklearn.feature_extraction.text import (  # type: ignore[import-untyped]  # no stubs
    TfidfVectorizer,
)
from sklearn.model_selection import (  # type: ignore[import-untyped]  # no stubs
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.svm import LinearSVC  # type: ignore[import-untyped]  # no stubs

from router.embedding import Embedder, LocalEmbedder
from router.intent import novelty
from router.intent.evaluation import ClassificationReport, evaluate_decisions
from router.intent.examples import EXAMPLES_MIN, require_trainable, with_background
from router.intent.labels import INTENTS, Example, Intent
from router.intent.model import ANALYZERS, IntentModel, NgramBlock
from router.intent.rules import classify_by_rules

_LARGE_DATASET_ROWS = 5000  # rows from which three folds say as much as five


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters from cross-validation on the project's own questions.

    ``regularization`` is scikit-learn's C (higher: freer). The weights balance
    the four kinds of feature.
    """

    regularization: float = 1.0
    word_weight: float = 2.0
    character_weight: float = 1.4
    frame_weight: float = 1.5
    vector_weight: float = 2.0


OWN_LABELS_HYPERPARAMETERS = Hyperparameters(
    regularization=0.5, word_weight=1.0, character_weight=1.0, frame_weight=0.0, vector_weight=2.5
)
"""For a team's labels, usually many and about topics, which frames leave out: meaning counts for more."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A model, and its probabilities for the training questions while they were held out."""

    model: IntentModel
    held_out_probabilities: NDArray[np.float64]

    def held_out_decisions(self, rows: Sequence[Example]) -> list[Intent]:
        """Return the cascade's held-out decisions for the first ``rows`` training questions."""
        decisions = []
        for row, odds in zip(rows, self.held_out_probabilities, strict=False):
            best = int(odds.argmax())
            intent = Intent(self.model.classes[best], float(odds[best]), "model")
            rule = classify_by_rules(row.query) if self.model.novelty is None else None
            decisions.append(rule or intent)
        return decisions


def train(
    examples: Iterable[Example],
    embedder: Embedder,
    hyperparameters: Hyperparameters | None = None,
    *,
    known: Collection[str] | None = INTENTS,
) -> IntentModel:
    """Fit a model; the same examples and vectors give the same model.

    With ``known`` None the examples' labels are the intents, and what is unlike all of them is
    out of scope.

    Raises:
        IntentModelError: an unknown intent, or too few examples of one.
    """
    parameters = hyperparameters or (
        OWN_LABELS_HYPERPARAMETERS if known is None else Hyperparameters()
    )
    return fit_intent_model(list(examples), embedder, parameters, known).model


def train_and_evaluate(
    examples: Sequence[Example], embedder: Embedder, *, own_labels: bool = False
) -> tuple[IntentModel, ClassificationReport]:
    """Train a team's model, and evaluate it on held-out questions of the team.

    Held out are single folds: for the figures the model is trained several times. Only the
    weights of n-grams (IDF) have seen them. Raises IntentModelError.
    """
    known = None if own_labels else INTENTS
    require_trainable(examples, known)
    rows = list(examples) if own_labels else with_background(examples)
    trained = fit_intent_model(
        rows, embedder, OWN_LABELS_HYPERPARAMETERS if own_labels else Hyperparameters(), known
    )
    return trained.model, evaluate_decisions(examples, trained.held_out_decisions(examples))


def fit_intent_model(
    rows: Sequence[Example],
    embedder: Embedder,
    hyperparameters: Hyperparameters,
    known: Collection[str] | None,
) -> TrainingResult:
    """Train, and cross-validate for calibration and novelty."""
    require_trainable(rows, known)
    vectors = embedder.embed([row.query for row in rows])
    labels = np.array([row.intent for row in rows])
    blocks = _fit_blocks([row.query for row in rows], hyperparameters)
    features = _feature_matrix(
        [row.query for row in rows], blocks, vectors * hyperparameters.vector_weight
    )
    fitted = _estimator(hyperparameters).fit(features, labels)
    coefficients, intercept = _rows_per_class(fitted)
    scores = _held_out_scores(features, labels, hyperparameters)
    temperature = _fit_temperature(scores, labels)
    model = IntentModel(
        classes=tuple(str(name) for name in fitted.classes_),
        blocks=blocks,
        vector_scale=hyperparameters.vector_weight,
        coefficients=coefficients,
        intercept=intercept,
        temperature=temperature,
        novelty=novelty.fit_novelty_detector(scores.max(axis=1), vectors)
        if known is None
        else None,
    )
    return TrainingResult(model, _softmax(scores / temperature))


def _fit_blocks(queries: Sequence[str], recipe: Hyperparameters) -> tuple[NgramBlock, ...]:
    scales = (recipe.word_weight, recipe.character_weight, recipe.frame_weight)
    return tuple(
        _fit_block(analyse, scale, queries)
        for analyse, scale in zip(ANALYZERS.values(), scales, strict=True)
    )


def _fit_block(
    analyse: Callable[[str], list[str]], scale: float, queries: Sequence[str]
) -> NgramBlock:
    """Fit one kind of n-gram; empty at weight zero, or when the questions have none."""
    if not scale or not any(analyse(query) for query in queries):
        return NgramBlock(analyse, {}, np.empty(0, np.float32), scale)
    counted = TfidfVectorizer(analyzer=analyse, sublinear_tf=True).fit(queries)
    grams = counted.get_feature_names_out().tolist()
    idf = np.asarray(counted.idf_, dtype=np.float32)
    return NgramBlock(analyse, {gram: at for at, gram in enumerate(grams)}, idf, scale)


def _feature_matrix(
    queries: Sequence[str], blocks: Sequence[NgramBlock], vectors: NDArray[np.float32]
) -> csr_matrix:
    parts = [
        _sparse_matrix([block.row(query) for query in queries], len(block.idf)) for block in blocks
    ]
    return hstack([*parts, csr_matrix(vectors)], format="csr")


def _sparse_matrix(
    rows: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]], width: int
) -> csr_matrix:
    pointers = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in rows])])
    columns = np.concatenate([columns for columns, _ in rows])
    values = np.concatenate([values for _, values in rows])
    return csr_matrix((values, columns, pointers), shape=(len(rows), width))


def _estimator(recipe: Hyperparameters) -> LinearSVC:
    """Build the estimator; held-out it is 1 to 2 points above logistic regression, at a fifth of the time."""
    return LinearSVC(C=recipe.regularization, class_weight="balanced", tol=1e-3, random_state=0)


def _rows_per_class(fitted: LinearSVC) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return one row per class; for two classes scikit-learn stores only the second's."""
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(coefficients) < len(fitted.classes_):
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercept = np.concatenate([[0.0], intercept])
    return coefficients.astype(np.float32), intercept.astype(np.float32)


def _held_out_scores(
    features: csr_matrix, labels: NDArray[np.str_], recipe: Hyperparameters
) -> NDArray[np.float64]:
    """Return held-out scores of each row, with a column per class."""
    folds = 3 if len(labels) > _LARGE_DATASET_ROWS else EXAMPLES_MIN
    scores = cross_val_predict(
        _estimator(recipe),
        features,
        labels,
        cv=StratifiedKFold(folds, shuffle=True, random_state=0),
        method="decision_function",
    )
    if scores.ndim == 1:
        scores = np.column_stack([np.zeros_like(scores), scores])
    return np.asarray(scores, np.float64)


def _fit_temperature(scores: NDArray[np.float64], labels: NDArray[np.str_]) -> float:
    """Return the divisor with the smallest held-out log loss."""
    truth = np.searchsorted(np.unique(labels), labels)

    def loss(log_temperature: float) -> float:
        odds = _softmax(scores / np.exp(log_temperature))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(odds, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def rebuild_shipped_model() -> None:
    """Train the shipped model again after a change to the questions or the recipe."""
    examples = with_background([])
    model = train(examples, LocalEmbedder(cache_size=len(examples)))
    model.save(Path(__file__).parent / "model.npz")


if __name__ == "__main__":
    rebuild_shipped_model()
