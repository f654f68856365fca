"""Intent classification: the shipped model, cross-validated training, and out of scope on CLINC150.

    python -m benchmarks.intent [--questions train.jsonl] [--clinc clinc150.json] [--json FILE]

`--questions` are labelled with the router's intents: the shipped model answers them, and models of
`sluice train` those of them that were held out (--folds). `--clinc` is clinc/oos-eval's data_full.json:
`sluice train --own-labels` on its training questions, without an out-of-scope example. What is not
there is left out, and said. `--intents N` takes only the first N of CLINC150's intents.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]  # no stubs

from router.embedding import LocalEmbedder
from router.intent import Example, IntentClassifier, read_examples
from router.intent.examples import with_background
from router.intent.model import IntentModel
from router.intent.training import train

DATA = Path(__file__).parents[2] / "shared" / "data" / "routing"
FALSE_REJECTION = 0.05


def shipped(rows: list[Example], embedder: LocalEmbedder) -> dict[str, float]:
    """Accuracy of the shipped model, and milliseconds of a question the embedder hasn't seen."""
    classifier = IntentClassifier.load(embedder)
    times, right = [], 0
    for row in rows:
        started = time.perf_counter()
        right += classifier.classify(row.query).intent == row.intent
        times.append((time.perf_counter() - started) * 1000)
    return {"accuracy": right / len(rows), "median_ms": statistics.median(times)}


def held_out(rows: list[Example], embedder: LocalEmbedder, folds: int) -> float:
    """Accuracy of the whole cascade on questions its model was not trained on."""
    labels = [row.intent for row in rows]
    right = 0
    for seen, unseen in StratifiedKFold(folds, shuffle=True, random_state=0).split(rows, labels):
        model = train(with_background(rows[place] for place in seen), embedder)
        classifier = IntentClassifier(model, embedder)
        right += sum(classifier.classify(rows[at].query).intent == labels[at] for at in unseen)
    return right / len(rows)


def clinc(path: Path, intents: int, embedder: LocalEmbedder) -> dict[str, float]:
    """In-scope accuracy, and recall of out of scope at 5 % false rejection of test questions."""
    data: dict[str, list[list[str]]] = json.loads(path.read_text("utf-8"))
    kept = sorted({label for _, label in data["train"]})[:intents]
    rows = [Example(query, label) for query, label in data["train"] if label in kept]
    model = train(rows, embedder, known=None)
    test = [(query, label) for query, label in data["test"] if label in kept]
    inside = _scored(model, [query for query, _ in test], embedder)
    outside = _scored(model, [query for query, _ in data["oos_test"]], embedder)
    threshold = np.quantile(inside["familiar"], FALSE_REJECTION)
    assert model.novelty is not None
    right = [
        best == model.classes.index(label)
        for best, (_, label) in zip(inside["best"], test, strict=True)
    ]
    return {
        "in_scope_accuracy": float(np.mean(right)),
        "recall_at_5_percent": float(np.mean(outside["familiar"] < threshold)),
        "recall_as_trained": float(np.mean(outside["familiar"] < model.novelty.threshold)),
        "false_rejection_as_trained": float(np.mean(inside["familiar"] < model.novelty.threshold)),
    }


def _scored(
    model: IntentModel, queries: list[str], embedder: LocalEmbedder
) -> dict[str, NDArray[Any]]:
    assert model.novelty is not None
    best, familiar = [], []
    for query, vector in zip(queries, embedder.embed(queries), strict=True):
        scores = model.scores(query, vector)
        best.append(int(scores.argmax()))
        familiar.append(model.novelty.familiarity(float(scores.max()), vector))
    return {"best": np.array(best), "familiar": np.array(familiar)}


def main() -> None:
    """Measure what there is data for."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=Path, default=DATA / "train.jsonl")
    parser.add_argument("--clinc", type=Path, default=DATA / "clinc150.json")
    parser.add_argument("--intents", type=int, default=150)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    if options.questions.exists():
        rows = read_examples(options.questions)
        result["shipped"] = shipped(rows, LocalEmbedder(recent=1))
        result["held_out"] = held_out(rows, LocalEmbedder(recent=5000), options.folds)
    else:
        print(f"left out: no questions at {options.questions}", file=sys.stderr)
    if options.clinc.exists():
        result["clinc"] = clinc(options.clinc, options.intents, LocalEmbedder(recent=1))
    else:
        print(f"left out: no CLINC150 at {options.clinc}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
