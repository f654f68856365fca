"""Files that hold something else than a plan, or that would cost a reader dearly, are refused at once, in one line."""

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sluice.cli.registry import build_app
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.yaml_document import with_lines
from sluice.rollout.yaml_nodes import BYTES_MAX
from tests.unit.rollout.plan.test_misleading_plans import problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 3000 + "]" * 3000, "nested more than 40 levels"),
        ("a: " + "{a: " * 3000 + "}" * 3000, "nested more than 40 levels"),
        (
            "a0: &a0 [x]\n"
            + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)),
            "more than 50,000 values",
        ),
        ("a: &a [*a]", "contains itself"),
        ("a: *b", "undefined alias"),
        ("a: {<<: 5}", "is not YAML"),
        ("a: " + "x" * 600_000, "longer than 500,000"),
        ("a: 1\n---\nb: 2", "second document"),
        ("? [a, b]\n: c", "has a list or mapping as a key"),
        ("a: \ud800", "is not YAML"),
        ("", "must be a mapping"),
    ],
    ids=[
        "lists",
        "maps",
        "bomb",
        "self",
        "alias",
        "merge",
        "size",
        "two",
        "key",
        "surrogate",
        "no",
    ],
)
def test_hostile_yaml_is_refused_at_once(text: str, words: str) -> None:
    """An alias bomb of 1 kB took 25 s and 750 MB."""
    started = time.monotonic()
    assert any(words in one for one in problems(text))
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: {{ x }}: y", b"x" * 600_000, b"a: !env X"])
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_lint_never_ends_in_a_traceback(tmp_path: Path, content: bytes, flags: list[str]) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    done = CliRunner().invoke(build_app(["lint"]), ["lint", str(path), *flags])
    assert done.exit_code == 2
    assert done.exception is None or isinstance(done.exception, SystemExit)
    if flags:
        assert json.loads(done.stdout)["diagnostics"]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text"])
def test_a_file_without_a_mapping_has_no_lines(text: str) -> None:
    assert with_lines(text, [(("flag",), "is missing")])[0].message == "is missing"


def test_a_long_file_of_broken_bytes_is_too_long_first(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xff" * (BYTES_MAX + 1))
    with pytest.raises(PlanError, match="it is longer than"):
        load_plan(path)
