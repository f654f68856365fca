"""Evaluation of a classifier: labelled questions and decisions in, figures out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from router.intent.labels import Example, Intent

CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The score of a class. ``precision`` is None when it was never decided, ``recall`` when never true."""

    count: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class AccuracyScore:
    """The number of correct decisions of ``count``."""

    count: int
    correct: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.count


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Decisions of similar confidence: calibrated when ``accuracy`` equals the mean ``confidence``."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True, slots=True)
class ClassificationReport:
    """The figures. ``calibration_error`` is the expected calibration error (Naeini et al. 2015) over ten bins."""

    overall: AccuracyScore
    classes: Mapping[str, ClassScore]
    difficulties: Mapping[str, AccuracyScore]
    tiers: Mapping[str, AccuracyScore]
    bins: Sequence[CalibrationBin]
    calibration_error: float
    confusion: Mapping[str, Mapping[str, int]]


def evaluate_decisions(
    examples: Sequence[Example], decisions: Sequence[Intent]
) -> ClassificationReport:
    """Judge ``decided``, in the order of ``examples``; at least one is needed."""
    pairs = list(zip(examples, decisions, strict=True))
    right = [(example, intent, example.intent == intent.intent) for example, intent in pairs]
    confusion: dict[str, Counter[str]] = defaultdict(Counter)
    for example, intent in pairs:
        confusion[example.intent][intent.intent] += 1
    bins = _calibration_bins([(intent.confidence, hit) for _, intent, hit in right])
    return ClassificationReport(
        overall=AccuracyScore(len(right), sum(hit for *_, hit in right)),
        classes=_class_scores(confusion),
        difficulties=_accuracy_scores(
            (example.difficulty, hit) for example, _, hit in right if example.difficulty
        ),
        tiers=_accuracy_scores((intent.tier, hit) for _, intent, hit in right),
        bins=bins,
        calibration_error=sum(bin_.count * abs(bin_.confidence - bin_.accuracy) for bin_ in bins)
        / len(right),
        confusion={name: dict(row) for name, row in sorted(confusion.items())},
    )


def _class_scores(confusion: Mapping[str, Counter[str]]) -> dict[str, ClassScore]:
    decided: Counter[str] = Counter()
    for row in confusion.values():
        decided.update(row)
    scores = {}
    for name in sorted({*confusion, *decided}):
        row = confusion.get(name, Counter())
        count, hits = row.total(), row[name]
        scores[name] = ClassScore(
            count=count,
            precision=hits / decided[name] if decided[name] else None,
            recall=hits / count if count else None,
        )
    return scores


def _accuracy_scores(outcomes: Iterable[tuple[str, bool]]) -> dict[str, AccuracyScore]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for name, hit in outcomes:
        groups[name].append(hit)
    return {name: AccuracyScore(len(hits), sum(hits)) for name, hits in groups.items()}


def _calibration_bins(outcomes: Sequence[tuple[float, bool]]) -> list[CalibrationBin]:
    groups: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, hit in outcomes:
        groups[min(CALIBRATION_BINS - 1, int(confidence * CALIBRATION_BINS))].append(
            (confidence, hit)
        )
    return [
        CalibrationBin(
            confidence=sum(confidence for confidence, _ in group) / len(group),
            accuracy=sum(hit for _, hit in group) / len(group),
            count=len(group),
        )
        for _, group in sorted(groups.items())
    ]
