"""The command line itself: wrong words get one line and exit code 2, never a traceback."""

import sys

import pytest

from sluice.cli import main
from sluice.cli.errors import Exit

UNREACHABLE = "127.0.0.1:9"


def run_command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sluice", *words])
    return main._run()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("start",), "Missing argument 'plan'. Try `sluice start --help`."),
        (("nocommand",), "No such command 'nocommand'"),
        (("list", "--jsn"), "No such option: --jsn"),
        (("init", "--flag", "A b"), "--flag 'A b': use at most 90 lower-case letters"),
        (("init", "--flag", "f", "--failures", "code=~'5..'"), "give --requests and --histogram"),
        (("start", "no-such-file.yaml"), "no-such-file.yaml: can't be read: No such file"),
    ],
)
def test_wrong_words_are_named(
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(monkeypatch, *words) == Exit.USAGE
    assert message in capsys.readouterr().err


def test_no_words_give_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch) == Exit.USAGE
    assert "start" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("status",), ("list",), ("approve",), ("start", "plans/demo.yaml")]
)
def test_without_temporal_it_says_how_to_start_it(
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", UNREACHABLE)
    assert run_command(monkeypatch, *words) == Exit.UNREACHABLE
    assert "sluice up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "code"), [("redis://127.0.0.1:1/0", Exit.UNREACHABLE), ("foo", Exit.USAGE)]
)
def test_a_question_without_redis_names_the_setting(
    url: str, code: Exit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert run_command(monkeypatch, "ask", "who drives T-12?") == code
    assert "REDIS_URL" in capsys.readouterr().err
