"""The worker's own clock decides nothing: it may be minutes ahead of Temporal, or behind."""

import ast

from tests.source_tree import ROOT, python_files, source_nodes

WORKER_FOLDERS = ("workflows", "activities", "sluice/rollout", "sluice/worker")
WALL_CLOCKS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.strftime"),
}


def test_no_code_of_the_worker_reads_the_wall_clock() -> None:
    """Times come with a request, from the workflow, or from the server's clock of an activity."""
    files = [*python_files(*WORKER_FOLDERS), ROOT / "worker.py"]
    reads = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node.func)}"
        for path in files
        for node in source_nodes(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WALL_CLOCKS
    ]
    assert not reads
