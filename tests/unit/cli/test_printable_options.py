"""Text of people reaches terminals, git trailers and Slack, where control characters forge lines."""

import pytest
from typer.testing import CliRunner

from activities.contract.models import Confirmation
from sluice.cli.registry import build_app


@pytest.mark.parametrize("text", ["a\nReviewed-by: boss", "a\x1b[2J", "a\x00b", "a\u202eb"])
@pytest.mark.parametrize("option", ["--by", "-m"])
def test_control_characters_are_refused_before_anything_is_sent(option: str, text: str) -> None:
    done = CliRunner().invoke(build_app(["pause"]), ["pause", "f", option, text])
    assert done.exit_code == 2
    assert "holds the control character U+" in done.output


def test_a_confirmation_by_nobody_names_itself_so() -> None:
    """Zero reports prove nothing."""
    nobody = Confirmation(processes=0, expired=0, seconds=0.3).text
    assert nobody == "in the store only: no router process to ask (0.30 s)"
    assert Confirmation(processes=1, expired=0, seconds=0.3).text.startswith("1 router process")
