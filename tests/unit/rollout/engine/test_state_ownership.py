"""Only ``engine/transitions`` assigns a field of a rollout's state, and no value in it is mutable."""

import ast
from collections.abc import Iterable, Iterator

import pydantic
import pytest

from sluice.rollout.engine.state import State
from tests.source_tree import ROOT, python_files, source_nodes
from tests.unit.rollout.engine.test_decide import new_state

OWNER = ROOT / "sluice/rollout/engine/transitions"
FIELDS = set(State.model_fields)


def assigned_fields(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield the line and name of every assignment to ``state.FIELD`` or ``….state.FIELD``."""
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in (part for each in targets for part in _assigned(each)):
            if isinstance(target, ast.Attribute) and target.attr in FIELDS and _is_state(target):
                yield target.lineno, target.attr


def _assigned(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple | ast.List) else [target]


def _is_state(target: ast.Attribute) -> bool:
    owner = target.value
    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    return name == "state"


@pytest.mark.parametrize("folder", ["sluice", "workflows", "activities"])
def test_only_the_transitions_assign_fields_of_the_state(folder: str) -> None:
    breaches = [
        f"{path.relative_to(ROOT)}:{line} assigns state.{field}"
        for path in python_files(folder)
        if OWNER not in path.parents
        for line, field in assigned_fields(source_nodes(path))
    ]
    assert breaches == []


def test_an_assignment_elsewhere_would_be_found() -> None:
    code = (
        "state.percentage, other = 5, 6\n"
        "self.state.sequence += 1\n"
        "names[state.plan.flag] = 'a read'\n"
    )
    assert list(assigned_fields(ast.walk(ast.parse(code)))) == [(1, "percentage"), (2, "sequence")]


def test_a_part_of_the_state_cannot_be_changed_in_place() -> None:
    state = new_state()
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        state.clock.promoted_by = "alice"  # type: ignore[misc]  # the point
