"""The longest files come first, and those that need the graph server share a process."""

from collections import OrderedDict

from tests.schedule import LONGEST_FIRST, ROOT, LongestFirst


class Given(LongestFirst):
    """The scheduler with a queue and no processes: it gives out by name."""

    def __init__(self, *files: str) -> None:
        self.workqueue: OrderedDict[str, dict[str, bool]] = OrderedDict.fromkeys(files, {})

    def next(self) -> str:
        self.longest_to_the_front()
        return self.workqueue.popitem(last=False)[0]


def test_files_with_the_graph_server_are_one_unit_and_others_their_own() -> None:
    scope = Given()._split_scope
    graph, other = "tests/contracts/test_backend_graph.py", "tests/unit/test_decide.py"
    assert scope(f"{graph}::test_a") == scope("tests/docs/test_examples.py::test_b") == "graph"
    assert scope(f"{other}::test_c[x::y]") == other


def test_what_is_long_comes_first_and_the_rest_as_it_was() -> None:
    given = Given("tests/a.py", LONGEST_FIRST[2], "tests/b.py", LONGEST_FIRST[0])
    order = [LONGEST_FIRST[0], LONGEST_FIRST[2], "tests/a.py", "tests/b.py"]
    assert [given.next() for _ in order] == order


def test_every_long_file_is_there() -> None:
    assert [one for one in LONGEST_FIRST if one != "graph" and not (ROOT / one).exists()] == []
