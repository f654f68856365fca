"""Text of people reaches terminals, git trailers and Slack, where control characters forge lines."""

import errno
import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from typer.testing import CliRunner

from activities.adapters.slack import SlackChannel
from activities.contract.models import Confirmation
from sluice.cli import main
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.registry import build_app
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.commands import Command
from sluice.rollout.plan.checklist import ChecklistItem
from sluice.rollout.plan.notification import Notice
from sluice.rollout.printable import escape_markdown


@pytest.mark.parametrize("text", ["a\nReviewed-by: boss", "a\x1b[2J", "a\x00b", "a\u202eb"])
@pytest.mark.parametrize("option", ["--by", "-m"])
def test_control_characters_are_refused_before_anything_is_sent(option: str, text: str) -> None:
    done = CliRunner().invoke(build_app(["pause"]), ["pause", "f", option, text])
    assert done.exit_code == 2
    assert "holds the control character U+" in done.output


@pytest.mark.parametrize("option", ["--by", "-m"])
@pytest.mark.parametrize("verb", ["pause", "abort", "kill"])
def test_a_text_that_is_too_long_is_refused_before_anything_is_sent(verb: str, option: str) -> None:
    """The audit log would refuse it when an abort finds no worker."""
    done = CliRunner().invoke(build_app([verb]), [verb, "f", option, "x" * 1001])
    assert done.exit_code == 2
    assert "1,001 characters; shorten it to" in " ".join(done.output.replace("│", "").split())


def test_a_confirmation_by_nobody_names_itself_so() -> None:
    """Zero reports prove nothing."""
    nobody = Confirmation(processes=0, expired=0, seconds=0.3).text
    assert nobody == "in the store only: no process to ask (0.30 s)"
    assert Confirmation(processes=1, expired=0, seconds=0.3).text.startswith("1 process")


@pytest.mark.parametrize(
    "words", [("pause", "\udce9"), ("attest", "a\x1b[2J"), ("rollback", "f", "--to", "a\x00")]
)
def test_other_arguments_are_refused_too(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reason typed in Latin-1 is a byte that no terminal, ledger or JSON can hold."""
    monkeypatch.setattr("sys.argv", ["sluice", *words])
    assert main._run() == Exit.USAGE
    assert "control character U+" in capsys.readouterr().err


def test_a_forged_actor_of_the_environment_is_refused() -> None:
    with pytest.raises(CliError, match=r"SLUICE_ACTOR holds the control character U\+000A"):
        _ = Context({"SLUICE_ACTOR": "eve\nReviewed-by: boss"}).actor


def test_a_read_only_folder_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build_app(_words: object) -> Callable[..., None]:
        def refuse(**_options: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system", "/srv/.sluice")

        return refuse

    monkeypatch.setattr(main, "build_app", build_app)
    assert main._run() == Exit.FAILED
    assert "Read-only file system: /srv/.sluice" in capsys.readouterr().err


def test_a_command_of_any_client_is_one_safe_line() -> None:
    """A signal has no sender to refuse: its text is escaped."""
    command = Command(actor="eve\nReviewed-by: boss", reason="a\x00b\x1b[2J")
    assert command.actor == r"eve\nReviewed-by: boss"
    assert command.reason == r"a\x00b\x1b[2J"


def test_markdown_shows_text_literally() -> None:
    text = "[a](http://x) <b> *c*\n# d | `e`"
    assert escape_markdown(text) == r"\[a\](http://x) \<b\> \*c\* \# d \| \`e\`"


@pytest.mark.parametrize("title", ["One\nReviewed-by: boss", "\x1b[2J"])
def test_a_title_of_a_plan_is_one_line(title: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        ChecklistItem(name="a", title=title, check="attested")


async def test_slack_pages_nobody_by_a_reason() -> None:
    sent = list[str]()

    async def receive(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content)["text"])
        return httpx.Response(200)

    notice = Notice(
        key="k", severity=Severity.P2, alert="paused", title="<!channel> t", text="<@U1> & more",
        at=datetime(2026, 1, 1, tzinfo=UTC), flag="f", rollout_id="r", percentage=5,
    )  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.MockTransport(receive)) as http:
        await SlackChannel(http, "http://slack").send(notice)
    assert "<" not in sent[0]
    assert "&lt;!channel&gt; t" in sent[0]
