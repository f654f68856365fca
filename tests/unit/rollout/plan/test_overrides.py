"""An edit of a rule names a field by which recorded readings can be judged again."""

import pytest

from sluice.rollout.errors import OverrideError
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.overrides import RuleRef, parse_override
from tests.unit.rollout.plan.test_statistical_gates import PLAN

RULES = [
    RuleRef(step.name, "gates", gate) for step in parse_plan(PLAN).steps for gate in step.gates
]


def test_an_edit_reads_back_as_it_was_written() -> None:
    assert parse_override("ramp.fixed.threshold=2%", RULES).text == "ramp.fixed.threshold=2%"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ramp.evidence.threshold=2%", "a statistical gate has no threshold to judge by again"),
        ("ramp.fixed.window=2h", "window"),
        ("ramp.fixed.cohort=all", "another cohort was never measured"),
        ("threshold", "write STEP.GATE.FIELD=VALUE, for example ramp.fixed.threshold=0.01"),
    ],
)
def test_an_edit_that_cannot_be_judged_names_what_can(text: str, words: str) -> None:
    with pytest.raises(OverrideError, match="--set") as caught:
        parse_override(text, RULES)
    assert words in str(caught.value)


def test_without_rules_the_example_is_a_general_one() -> None:
    with pytest.raises(OverrideError, match=r"ramp-25\.latency_p99\.threshold=0\.8"):
        parse_override("threshold", [])
