"""docs/rehearsal.md describes every scenario and fault."""

import re
from pathlib import Path

from sluice.rehearsal.traffic.scenario import (
    SIZE_MEANINGS,
    Expectation,
    FaultKind,
    load_scenario,
    parse_scenario,
    scenario_names,
)

TEXT = (Path(__file__).parents[2] / "docs" / "rehearsal.md").read_text()


def table_after(after: str) -> dict[str, str]:
    """First cell → last cell of the first table after a heading or sentence."""
    table = TEXT[TEXT.index(after) :].split("|---", 1)[1].split("\n\n", 1)[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()[1:]]
    return {row[0].strip(): row[-1].strip() for row in cells}


def test_each_scenario_is_there_with_its_end() -> None:
    documented = {name.strip("`"): end for name, end in table_after("## Scenarios").items()}
    assert sorted(documented) == sorted(scenario_names())
    for name, end in documented.items():
        expect = load_scenario(name).expect
        assert isinstance(expect, Expectation)
        wanted = f"{expect.ending} in {expect.step}" if expect.step else str(expect.ending)
        assert end.split(":")[0] == wanted


def test_each_kind_of_fault_is_there_with_its_size() -> None:
    documented = table_after("`kind` and the meaning of `size`")
    sizes = {kind: documented[f"`{kind}`"] for kind in SIZE_MEANINGS}
    assert sizes == {str(kind): meaning for kind, meaning in SIZE_MEANINGS.items()}
    named = set(re.findall(r"`(\w+)`", " ".join(documented)))
    assert named == {str(kind) for kind in FaultKind}


def test_the_scenario_in_the_text_is_a_scenario() -> None:
    example = re.search(r"```yaml\n(name: mine.*?)```", TEXT, re.DOTALL)
    assert example is not None
    assert parse_scenario(example[1]).name == "mine"
