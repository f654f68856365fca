"""In which process a test file runs, and when. ``make test`` gives out whole files.

xdist begins with the files of most tests. The longest of ours have few: begun last, one of them keeps
one process busy while the others have nothing left.
"""

from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # xdist ships no types
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # as above
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]  # as above

ROOT = Path(__file__).parents[1]
LONGEST_FIRST = (
    "graph",
    "tests/integration/rehearsal/test_rehearsal.py",
    "tests/faults/test_taken_away.py",
    "tests/workflows/test_red_flag_points.py",
    "tests/integration/stack/test_stack.py",
    "tests/docs/test_own_service.py",
    "tests/integration/cli/test_operations.py",
    "tests/workflows/test_fault_points.py",
    "tests/workflows/test_rollbacks.py",
    "tests/faults/test_worker_killed.py",
    "tests/workflows/test_red_flags.py",
    "tests/unit/rehearsal/test_simulator.py",
    "tests/docs/test_examples.py",
    "tests/faults/test_router_faults.py",
    "tests/integration/worker/test_upgrade.py",
    "tests/workflows/test_statistical.py",
    "tests/workflows/test_identity.py",
    "tests/docs/test_catalog_page.py",
    "tests/faults/test_prometheus_stopped.py",
    "tests/integration/router/test_ingest_folder.py",
    "tests/unit/router/test_patterns.py",
    "tests/workflows/test_people.py",
    "tests/faults/test_learning_kill.py",
)


class LongestFirstScheduling(LoadFileScheduling):  # type: ignore[misc]  # untyped
    """Files that share something costly count as one: a JVM, or the syntax trees of all files."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        text = (ROOT / file).read_text(encoding="utf-8")
        if "neo4j_settings" in text:
            return "graph"
        return "sources" if "tests.source_tree" in text or "tests.english" in text else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.move_longest_to_front()
        super()._assign_work_unit(node)

    def move_longest_to_front(self) -> None:
        """Move the longest remaining unit to the front."""
        self.workqueue.move_to_end(min(self.workqueue, key=_position), last=False)


def _position(scope: str) -> int:
    return LONGEST_FIRST.index(scope) if scope in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> LongestFirstScheduling | None:
    """Create the scheduler; conftest.py imports this hook for pytest."""
    return LongestFirstScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
