"""Intent classification: the shipped model, cross-validated training, and out of scope on CLINC150.

    python -m benchmarks.intent [--questions train.jsonl] [--clinc clinc150.json] [--json FILE]

`--questions` are labelled with the router's intents: the shipped model answers them, and models of
`sluice train` those of them that were held out (--folds, --repeats). The authors of the project's own
questions may have seen these: so both are measured again without those of the project's that are
nearly one of the questions asked (a cosine from --apart). `--clinc` is clinc/oos-eval's
data_full.json: `sluice train --own-labels` on its training questions, without an out-of-scope
example, beside other signs of the unknown. What is not there is left out, and said. `--intents N`
takes only the first N of CLINC150's intents.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]  # no stubs

from router.embedding import LocalEmbedder
from router.intent import Example, Intent, IntentClassifier, evaluate_decisions, read_examples
from router.intent.examples import with_background
from router.intent.model import IntentModel
from router.intent.trainer import train

DATA = Path(__file__).parents[2] / "shared" / "data" / "routing"
FALSE_REJECTION = 0.05
NO_COSINE_LIMIT = 2.0
"""A cosine that none reaches: no question is left out."""


def measure_shipped(rows: list[Example], embedder: LocalEmbedder, apart: float) -> dict[str, Any]:
    """Figures of the shipped model, and milliseconds of a question the embedder hasn't seen."""
    classifier = IntentClassifier.load(embedder)
    times, decided = [], []
    for row in rows:
        started = time.perf_counter()
        decided.append(classifier.classify(row.query))
        times.append((time.perf_counter() - started) * 1000)
    own = exclude_similar(with_background([]), rows, embedder, apart)
    again = IntentClassifier(train(own, embedder), embedder)
    return {
        **_figures(rows, decided),
        "median_ms": statistics.median(times),
        "apart": {
            "trained_on": len(own),
            **_figures(rows, [again.classify(r.query) for r in rows]),
        },
    }


def cross_validate(
    rows: list[Example], embedder: LocalEmbedder, folds: int, repeats: int, apart: float
) -> dict[str, Any]:
    """Figures of the whole cascade on questions its model was not trained on."""
    labels = [row.intent for row in rows]
    asked: list[Example] = []
    decided: list[Intent] = []
    for seed in range(repeats):
        for seen, unseen in StratifiedKFold(folds, shuffle=True, random_state=seed).split(
            rows, labels
        ):
            asking = [rows[at] for at in unseen]
            own = with_background([rows[at] for at in seen])
            known = own[: len(seen)] + exclude_similar(own[len(seen) :], asking, embedder, apart)
            classifier = IntentClassifier(train(known, embedder), embedder)
            asked += asking
            decided += [classifier.classify(row.query) for row in asking]
    each = [
        _figures(asked[start : start + len(rows)], decided[start : start + len(rows)])["accuracy"]
        for start in range(0, len(asked), len(rows))
    ]
    return {**_figures(asked, decided), "each_repeat": each}


def exclude_similar(
    own: list[Example], others: list[Example], embedder: LocalEmbedder, apart: float
) -> list[Example]:
    """Those of ``own`` whose cosine to every question of ``asked`` is below ``apart``."""
    vectors = embedder.embed([row.query for row in own])
    nearest = (vectors @ embedder.embed([row.query for row in others]).T).max(axis=1)
    return [row for row, cosine in zip(own, nearest, strict=True) if cosine < apart]


def _figures(rows: list[Example], decided: list[Intent]) -> dict[str, Any]:
    result = evaluate_decisions(rows, decided)
    return {
        "accuracy": result.overall.accuracy,
        "difficulties": {name: one.accuracy for name, one in result.difficulties.items()},
        "calibration_error": result.calibration_error,
    }


def measure_clinc(path: Path, intents: int, embedder: LocalEmbedder) -> dict[str, Any]:
    """In-scope accuracy, and recall of out of scope at 5 % false rejection of test questions."""
    data: dict[str, list[list[str]]] = json.loads(path.read_text("utf-8"))
    kept = sorted({label for _, label in data["train"]})[:intents]
    rows = [Example(query, label) for query, label in data["train"] if label in kept]
    model = train(rows, embedder, known=None)
    test = [(query, label) for query, label in data["test"] if label in kept]
    distance = _mahalanobis(rows, embedder)
    inside = _novelty_signals(model, distance, [query for query, _ in test], embedder)
    outside = _novelty_signals(model, distance, [query for query, _ in data["oos_test"]], embedder)
    assert model.novelty is not None
    limit = model.novelty.familiarity_threshold
    truth = [model.classes.index(label) for _, label in test]
    return {
        "in_scope_accuracy": float(np.mean(inside["best"] == truth)),
        "recall_at_5_percent": {
            sign: float(np.mean(outside[sign] < np.quantile(inside[sign], FALSE_REJECTION)))
            for sign in ("probability", "mahalanobis", "nearest", "familiar")
        },
        "recall_as_trained": float(np.mean(outside["familiar"] < limit)),
        "false_rejection_as_trained": float(np.mean(inside["familiar"] < limit)),
    }


def _mahalanobis(
    rows: list[Example], embedder: LocalEmbedder
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Minus the distance to the nearest class, under the spread all classes share (Lee et al. 2018)."""
    vectors = embedder.embed([row.query for row in rows])
    labels, place = np.unique([row.intent for row in rows], return_inverse=True)
    centres = np.stack([vectors[place == at].mean(axis=0) for at in range(len(labels))])
    spread = np.cov((vectors - centres[place]).T) + 1e-6 * np.eye(vectors.shape[1])
    whitening = np.linalg.cholesky(np.linalg.inv(spread))
    white = centres @ whitening

    def nearness(asked: NDArray[Any]) -> NDArray[Any]:
        turned = asked @ whitening
        return np.array([-np.linalg.norm(white - one, axis=1).min() for one in turned])

    return nearness


def _novelty_signals(
    model: IntentModel,
    nearness: Callable[[NDArray[Any]], NDArray[Any]],
    queries: list[str],
    embedder: LocalEmbedder,
) -> dict[str, NDArray[Any]]:
    """Return the best class of each question, and its familiarity."""
    assert model.novelty is not None
    vectors = embedder.embed(queries)
    scores = np.array([model.scores(*pair) for pair in zip(queries, vectors, strict=True)])
    tops = scores.max(axis=1)
    odds = np.exp((scores - tops[:, np.newaxis]) / model.temperature).sum(axis=1)
    pairs = list(zip(tops.tolist(), vectors, strict=True))
    return {
        "best": scores.argmax(axis=1),
        "probability": 1.0 / odds,
        "mahalanobis": nearness(vectors),
        "nearest": np.array([model.novelty.familiarity(0.0, vector) for _, vector in pairs]),
        "familiar": np.array([model.novelty.familiarity(top, vector) for top, vector in pairs]),
    }


def main() -> None:
    """Measure what there is data for."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=Path, default=DATA / "train.jsonl")
    parser.add_argument("--clinc", type=Path, default=DATA / "clinc150.json")
    parser.add_argument("--intents", type=int, default=150)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3, help="cross-validations, other folds")
    parser.add_argument("--apart", type=float, default=0.8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    if options.questions.exists():
        rows = read_examples(options.questions)
        recent = LocalEmbedder(cache_size=5000)
        cv = (rows, recent, options.folds, options.repeats)
        result["shipped"] = measure_shipped(rows, LocalEmbedder(cache_size=5000), options.apart)
        result["held_out"] = {
            **cross_validate(*cv, NO_COSINE_LIMIT),
            "apart": cross_validate(*cv, options.apart),
        }
    else:
        print(f"left out: no questions at {options.questions}", file=sys.stderr)
    if options.clinc.exists():
        result["clinc"] = measure_clinc(
            options.clinc, options.intents, LocalEmbedder(cache_size=25_000)
        )
    else:
        print(f"left out: no CLINC150 at {options.clinc}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
