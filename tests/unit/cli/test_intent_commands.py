"""`sluice train`, `classify` and `evaluate` as a shell sees them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sluice.cli.errors import CliError
from sluice.cli.registry import build_app

runner = CliRunner()


def run_output(*words: str, stdin: bytes = b"") -> str:
    result = runner.invoke(build_app(words), list(words), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def run_error(*words: str) -> str:
    result = runner.invoke(build_app(words), list(words))
    assert isinstance(result.exception, CliError)
    assert result.exception.code == 2
    return str(result.exception)


def write_rows(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("".join(json.dumps({"query": q, "intent": i}) + "\n\n" for q, i in rows))
    return str(path)


def test_one_json_line_for_each_question() -> None:
    stdin = b"who reports to the harbour master\n\n  \nberths in S\xe3o Jo\xc3\xa3o\r\nlast"
    lines = [json.loads(line) for line in run_output("classify", stdin=stdin).splitlines()]
    assert [set(line) for line in lines] == [{"query", "intent", "confidence", "tier"}] * 3
    assert lines[0]["query"] == "who reports to the harbour master"
    assert (lines[0]["intent"], lines[0]["tier"]) == ("graph", "rules")
    assert lines[1]["query"] == "berths in S\ufffdo Jo\u00e3o"
    assert lines[2]["query"] == "last"


ROWS = [
    ("who reports to the mayor", "graph"),
    ("history of the crane over the years", "temporal"),
    ("documents about fog on the river", "semantic"),
]


def test_evaluate_reports_figures_as_text_and_as_json(tmp_path: Path) -> None:
    labelled = write_rows(tmp_path / "labelled.jsonl", ROWS)
    text = run_output("evaluate", labelled)
    assert "accuracy 100.0% (3 of 3)" in text
    assert "true \\ decided" in text
    document: dict[str, Any] = json.loads(run_output("evaluate", labelled, "--json"))
    assert document["accuracy"] == 1.0
    assert document["confusion"]["graph"] == {"graph": 1}
    assert set(document) >= {"classes", "difficulties", "tiers", "calibration", "median_ms"}


def test_train_writes_a_model_that_classifies(tmp_path: Path) -> None:
    rows = [
        (f"{words} {thing}", label)
        for words, label in (("may I bring a", "luggage"), ("what does it cost to ship a", "price"))
        for thing in ("drum", "tent", "kayak", "lamp", "bike", "cello")
    ]
    questions, out = write_rows(tmp_path / "own.jsonl", rows), str(tmp_path / "m.npz")
    document = json.loads(run_output("train", questions, "--own-labels", "--out", out, "--json"))
    assert document["held_out"]["count"] == document["questions"] == 12
    line = run_output("classify", "--model", out, stdin=b"what does it cost to ship a tuba\n")
    assert json.loads(line)["intent"] == "price"
    assert "accuracy" in run_output("evaluate", questions, "--model", out)


@pytest.mark.parametrize(
    ("command", "content", "message"),
    [
        ("evaluate", b'{"query": "x", "intent": "graph"}\n{', "q.jsonl:2"),
        ("evaluate", b'{"query": "x", "intent": "sql"}', "unknown intent 'sql'"),
        ("evaluate", b"\n\n", "no questions"),
        ("train", b'{"query": "\xff", "intent": "graph"}', "not UTF-8"),
        (
            "train",
            b'{"query": "x", "intent": "graph"}',
            "q.jsonl: training needs examples of at least",
        ),
        ("train", b'{"query": "x", "intent": "sql"}', "--own-labels takes any label"),
        ("train", b"\n", "q.jsonl: training needs examples of at least two intents, not of 0"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(
    tmp_path: Path, command: str, content: bytes, message: str
) -> None:
    (tmp_path / "q.jsonl").write_bytes(content)
    assert message in run_error(command, str(tmp_path / "q.jsonl"))


def test_a_missing_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    assert "sluice train" in run_error("classify", "--model", str(tmp_path / "none.npz"))
