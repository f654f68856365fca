"""The longest files come first, and those that need the graph server share a process."""

from collections import OrderedDict

from tests.xdist_scheduler import LONGEST_FIRST, ROOT, LongestFirstScheduling


class QueuedScheduling(LongestFirstScheduling):
    """The scheduler with a queue and no processes: it gives out by name."""

    def __init__(self, *files: str) -> None:
        self.workqueue: OrderedDict[str, dict[str, bool]] = OrderedDict.fromkeys(files, {})

    def pop_next(self) -> str:
        self.move_longest_to_front()
        return self.workqueue.popitem(last=False)[0]


def test_files_with_the_graph_server_are_one_unit_and_others_their_own() -> None:
    scope = QueuedScheduling()._split_scope
    graph, other = (
        "tests/contracts/test_backend_graph.py",
        "tests/unit/rollout/engine/test_decide.py",
    )
    assert scope(f"{graph}::test_a") == scope("tests/docs/test_examples.py::test_b") == "graph"
    assert scope(f"{other}::test_c[x::y]") == other


def test_the_longest_files_come_first_and_the_rest_keep_their_order() -> None:
    given = QueuedScheduling("tests/a.py", LONGEST_FIRST[2], "tests/b.py", LONGEST_FIRST[0])
    order = [LONGEST_FIRST[0], LONGEST_FIRST[2], "tests/a.py", "tests/b.py"]
    assert [given.pop_next() for _ in order] == order


def test_every_file_listed_as_long_exists() -> None:
    assert [one for one in LONGEST_FIRST if one != "graph" and not (ROOT / one).exists()] == []
