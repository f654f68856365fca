"""Branch coverage of the core and the workflow within ``make test``, and its limit.

SlipCover instruments the measured modules alone as they are imported. The core's tests take a fifth
longer by it; coverage.py doubled their time on Python 3.11.
"""

import json
from typing import Any

import pytest
from slipcover import (  # type: ignore[import-untyped]  # it ships no types
    FileMatcher,
    ImportManager,
    Slipcover,
    merge_coverage,
)

from tests.source_tree import ROOT

MEASURED = ("sluice/rollout", "workflows")
PERCENT_MIN = 99.5
"""Below 100: time decides which branches of a running workflow are reached."""


class CoverageMeter:
    """Instrumentation of one test process, from before its first import of a measured module."""

    def __init__(self, config: pytest.Config) -> None:
        self._output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]  # xdist's
        matcher = FileMatcher(sources=[ROOT / folder for folder in MEASURED])
        self._slipcover = Slipcover(
            branch=True,
            exclude_also=["@overload", r"\.\.\.$", "case _:", "raise NotImplementedError"],
        )
        ImportManager(self._slipcover, matcher).__enter__()

    def pytest_sessionfinish(self) -> None:
        self._output["coverage"] = json.dumps(self._slipcover.get_coverage())


class CoverageGate:
    """Verdict on what all test processes measured."""

    def __init__(self) -> None:
        self._coverage: dict[str, Any] = {}

    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - xdist ships no types
        measured = json.loads(node.workeroutput["coverage"])
        self._coverage = merge_coverage(self._coverage, measured) if self._coverage else measured

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._percent() < PERCENT_MIN and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section(f"branch coverage of {' and '.join(MEASURED)}")
        for name, file in sorted(self._files.items()):
            if missing := [*file["missing_lines"], *_missing_branches(name, file)]:
                terminalreporter.line(f"{name}: not reached: {', '.join(map(str, missing))}")
        terminalreporter.line(f"{self._percent():.2f} %, and the limit is {PERCENT_MIN:g} %")

    @property
    def _files(self) -> dict[str, Any]:
        files: dict[str, Any] = self._coverage.get("files", {})
        return files

    def _percent(self) -> float:
        reached = missing = 0
        for name, file in self._files.items():
            reached += len(file["executed_lines"]) + len(file["executed_branches"])
            missing += len(file["missing_lines"]) + len(_missing_branches(name, file))
        return 100 * reached / max(reached + missing, 1)


def _missing_branches(name: str, file: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the branches that no test took, without those to an ``assert_never``: no value leads there."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    branches: list[tuple[int, int]] = [(start, end) for start, end in file["missing_branches"]]
    return [pair for pair in branches if "assert_never(" not in lines[pair[1] - 1]]


def register_coverage(config: pytest.Config) -> None:
    """Register the meter in a test process, or the gate in the process that started them."""
    if config.getoption("--coverage-gate"):
        is_worker = hasattr(config, "workerinput")
        config.pluginmanager.register(CoverageMeter(config) if is_worker else CoverageGate())
