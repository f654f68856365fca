"""Where a runbook is, and what the timeline keeps of a command."""

import pytest

from rollout.commands import Command, Verb
from rollout.runbook import located, runbook_of
from rollout.sayings import words
from tests.unit.test_explain import RED

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
def test_a_relative_address_stands_behind_the_base(runbook: str, base: str, address: str) -> None:
    assert located(runbook, base) == address


def test_a_flag_that_somebody_changed_has_a_page_without_a_gate() -> None:
    killed = RED.model_copy(update={"name": "killed", "kind": "killed", "gate": None})
    assert runbook_of(killed) == "docs/runbooks/flag.md"
    assert runbook_of(RED.model_copy(update={"gate": None})) == ""


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
    assert words(Verb.ROLLBACK, command) == kept
