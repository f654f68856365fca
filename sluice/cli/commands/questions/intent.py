"""The commands of the intent classifier: train, classify, evaluate."""

import json as jsonlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from router.embedding import LocalEmbedder
from router.intent import (
    INTENTS,
    Example,
    Intent,
    IntentClassifier,
    IntentModelError,
    evaluate_decisions,
    read_examples,
)
from router.intent.evaluation import AccuracyScore, ClassificationReport
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.cli.views.intent import evaluation_text, training_text

ModelOption = Annotated[
    Path | None,
    typer.Option("--model", "-m", help="A model that `sluice train` wrote; default: the shipped."),
]
QuestionsArgument = Annotated[
    Path,
    typer.Argument(
        help='JSON lines: {"query": …, "intent": …}, and "difficulty" if you like.', metavar="FILE"
    ),
]
OwnLabelsOption = Annotated[
    bool,
    typer.Option(
        "--own-labels",
        help="The file's labels are the intents, and its questions the only examples.",
    ),
]


def train(
    questions: QuestionsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the model.")] = Path(
        "intent-model.npz"
    ),
    own_labels: OwnLabelsOption = False,
    json: JsonOption = False,
) -> None:
    """Train the intent classifier on your own questions, on top of the project's.

    Prints the cross-validated accuracy. A router loads the model with SLUICE_INTENT_MODEL=FILE.
    """
    # Only this command needs scikit-learn, whose import takes a second.
    from router.intent.trainer import train_and_evaluate  # noqa: PLC0415

    started = time.monotonic()
    try:
        examples = read_examples(questions, None if own_labels else INTENTS)
        model, held_out = train_and_evaluate(examples, _make_embedder(), own_labels=own_labels)
        model.save(out)
    except IntentModelError as error:
        message = str(error)
        prefix = "" if message.startswith(str(questions)) else f"{questions}: "
        hint = "; --own-labels takes any label" if "unknown intent" in message else ""
        raise CliError(prefix + message + hint, Exit.USAGE) from error
    except OSError as error:
        raise CliError(f"{out}: cannot be written ({error.strerror})") from error
    seconds = round(time.monotonic() - started, 1)
    document = {
        "model": str(out),
        "questions": len(examples),
        "seconds": seconds,
        "held_out": evaluation_document(held_out),
    }
    print_result(json, document, training_text(out, seconds, held_out))


def classify(
    model: ModelOption = None,
    schemas: Annotated[
        bool,
        typer.Option(
            "--schemas",
            help='Lines are {"query": …, "schema": …}; print the store that answers each.',
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Classify each question on standard input, one JSON line each, at once.

    A line has query, intent, confidence and tier (rules or model); with --schemas, store and
    confidence. Empty lines are skipped. Bytes that are not UTF-8 are replaced, with a warning.
    --json has no effect.
    """
    classifier = _load_classifier(model)
    if schemas:
        _route_schemas(classifier)
        return
    for query in _read_lines(sys.stdin.buffer):
        decision = classifier.classify(query)
        document = {"query": query, **asdict(decision), "confidence": round(decision.confidence, 4)}
        print(jsonlib.dumps(document, ensure_ascii=False), flush=True)


def _route_schemas(classifier: IntentClassifier) -> None:
    # The lexicon and the embeddings of names are needed here only.
    from router.catalog_search.schema_routing import SchemaRouter  # noqa: PLC0415

    router = SchemaRouter(_make_embedder(), classifier)
    for number, line in enumerate(_read_lines(sys.stdin.buffer), 1):
        try:
            document = jsonlib.loads(line)
            evidence = router.route(str(document["query"]), str(document["schema"]))
        except (ValueError, KeyError, TypeError) as error:
            message = f'line {number}: {error}: expected {{"query": …, "schema": …}}'
            raise CliError(message, Exit.USAGE) from error
        choice = {"store": evidence.store, "confidence": round(evidence.confidence, 4)}
        print(jsonlib.dumps(choice), flush=True)


def evaluate(
    labelled: QuestionsArgument, model: ModelOption = None, json: JsonOption = False
) -> None:
    """Measure the classifier on labelled questions.

    Prints accuracy per class, difficulty and tier, calibration, and confusions.
    """
    classifier = _load_classifier(model)
    try:
        examples = read_examples(labelled, {*INTENTS, *classifier.intents})
    except IntentModelError as error:
        raise CliError(str(error), Exit.USAGE) from error
    if not examples:
        raise CliError(f"{labelled}: no questions in it", Exit.USAGE)
    decided, milliseconds = _classify_all(classifier, examples)
    result = evaluate_decisions(examples, decided)
    document = {**evaluation_document(result), "median_ms": round(milliseconds, 3)}
    print_result(json, document, evaluation_text(result, milliseconds))


def evaluation_document(result: ClassificationReport) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        **_share_document(result.overall),
        "classes": {name: asdict(score) for name, score in result.classes.items()},
        "difficulties": {
            name: _share_document(share) for name, share in result.difficulties.items()
        },
        "tiers": {name: _share_document(share) for name, share in result.tiers.items()},
        "calibration": {
            "expected_error": round(result.calibration_error, 4),
            "bins": [asdict(bin_) for bin_ in result.bins],
        },
        "confusion": result.confusion,
    }


def _share_document(share: AccuracyScore) -> dict[str, Any]:
    return {"count": share.count, "right": share.correct, "accuracy": round(share.accuracy, 4)}


def _classify_all(
    classifier: IntentClassifier, examples: list[Example]
) -> tuple[list[Intent], float]:
    """Return the decisions, and the median time of one in milliseconds."""
    decided, times = [], []
    for example in examples:
        started = time.perf_counter()
        decided.append(classifier.classify(example.query))
        times.append((time.perf_counter() - started) * 1000)
    return decided, statistics.median(times)


def _make_embedder() -> LocalEmbedder:
    """Build an embedder that uses every core for one question."""
    return LocalEmbedder(threads=len(os.sched_getaffinity(0)))


def _load_classifier(model: Path | None) -> IntentClassifier:
    try:
        return IntentClassifier.load(_make_embedder(), model)
    except IntentModelError as error:
        raise CliError(str(error), Exit.USAGE) from error


def _read_lines(stream: BinaryIO) -> Iterator[str]:
    """Yield each line as it arrives."""
    for number, raw in enumerate(iter(stream.readline, b""), start=1):
        try:
            line = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.decode("utf-8", errors="replace")
            print_note(f"sluice: line {number}, byte {error.start + 1} is not UTF-8: replaced")
        if line.strip():
            yield line.strip()
