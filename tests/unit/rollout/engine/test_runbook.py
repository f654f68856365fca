"""The address of a runbook, and the timeline's text of a command."""

import pytest

from sluice.rollout.engine.commands import Command, Verb, describe_command
from sluice.rollout.engine.runbook import runbook_for_finding, runbook_url
from tests.unit.rollout.review.test_explain import RED_FLAG

PAGE = "docs/runbooks/error_spike.md"


@pytest.mark.parametrize(
    ("runbook", "base", "address"),
    [
        (PAGE, "", PAGE),
        (PAGE, "https://our.example/sluice", f"https://our.example/sluice/{PAGE}"),
        ("https://wiki.example/spike", "https://our.example", "https://wiki.example/spike"),
        ("", "https://our.example", ""),
    ],
    ids=["relative", "behind the base", "a URL already", "none"],
)
def test_a_relative_runbook_is_joined_to_the_base_url(
    runbook: str, base: str, address: str
) -> None:
    assert runbook_url(runbook, base) == address


def test_a_flag_drift_finding_has_a_runbook_without_a_gate() -> None:
    killed = RED_FLAG.model_copy(update={"name": "killed", "kind": "killed", "gate": None})
    assert runbook_for_finding(killed) == "docs/runbooks/flag.md"
    assert runbook_for_finding(RED_FLAG.model_copy(update={"gate": None})) == ""


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({}, "it hurts"),
        ({"to": "5"}, "to 5: it hurts"),
        ({"emergency": True}, "emergency: it hurts"),
        ({"graceful": True}, "graceful: it hurts"),
        ({"code": True}, "code: it hurts"),
        ({"code": True, "confirmed": True, "reason": ""}, "the revert is confirmed"),
    ],
)
def test_the_timeline_says_which_rollback_was_asked_for(asked: dict[str, str], kept: str) -> None:
    command = Command.model_validate({"actor": "ann", "reason": "it hurts"} | asked)
    assert describe_command(Verb.ROLLBACK, command) == kept
