"""The output of ``sluice train`` and ``sluice evaluate``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from router.intent.evaluation import AccuracyScore, ClassificationReport


def training_text(out: Path, seconds: float, held_out: ClassificationReport) -> str:
    """Return the output of ``sluice train``."""
    return "\n".join(
        [
            f"trained in {seconds:.1f} s; cross-validated accuracy:",
            "",
            _figures(held_out),
            "",
            f"wrote {out}; try it:  echo 'a question' | sluice classify --model {out}",
            f"a router loads it with SLUICE_INTENT_MODEL={out}",
        ]
    )


def evaluation_text(result: ClassificationReport, median_ms: float) -> str:
    """Return the output of ``sluice evaluate``."""
    return f"{_figures(result)}\n\nmedian time of a question: {median_ms:.1f} ms"


def _figures(result: ClassificationReport) -> str:
    overall = result.overall
    parts = [
        f"accuracy {overall.accuracy:.1%} ({overall.correct} of {overall.count}), "
        f"calibration error {result.calibration_error:.3f}",
        _table(("intent", "questions", "recall", "precision"), _class_rows(result)),
    ]
    if result.difficulties:
        parts.append(_table(("difficulty", "questions", "accuracy"), _rows(result.difficulties)))
    parts += [
        _table(("tier", "questions", "accuracy"), _rows(result.tiers)),
        _table(
            ("confidence", "questions", "accuracy"),
            [(f"{b.confidence:.2f}", str(b.count), f"{b.accuracy:.1%}") for b in result.bins],
        ),
        _confusions(result),
    ]
    return "\n\n".join(parts)


def _class_rows(result: ClassificationReport) -> list[tuple[str, ...]]:
    return [
        (name, str(score.count), _percent(score.recall), _percent(score.precision))
        for name, score in result.classes.items()
    ]


def _rows(shares: Mapping[str, AccuracyScore]) -> list[tuple[str, ...]]:
    return [(name, str(share.count), f"{share.accuracy:.1%}") for name, share in shares.items()]


def _confusions(result: ClassificationReport) -> str:
    """Return the confusion matrix; for many intents only its errors, most frequent first."""
    names = list(result.classes)
    if len(names) <= 6:  # noqa: PLR2004  as many columns as fit beside each other
        rows = [
            (true, *(str(result.confusion.get(true, {}).get(name, 0)) for name in names))
            for true in names
        ]
        return _table(("true \\ decided", *names), rows)
    errors = sorted(
        (-count, true, name)
        for true, row in result.confusion.items()
        for name, count in row.items()
        if name != true
    )
    rows = [(true, name, str(-count)) for count, true, name in errors[:15]]
    return _table(("true", "decided", "questions"), rows)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    )
