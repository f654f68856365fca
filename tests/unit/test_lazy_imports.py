"""A process loads the drivers that it uses and no others: their imports take seconds each."""

import subprocess
import sys

import pytest

from cli.commands import COMMANDS, build, summary

SDKS = {"anthropic", "openai", "matplotlib", "sklearn", "qdrant_client", "neo4j"}
DRIVERS = {*SDKS, "temporalio", "redis", "httpx", "numpy", "onnxruntime", "fastapi"}
HELP = "from cli.main import _run; sys.argv = ['sluice', '--help']; _run()"
REHEARSING = "import cli.rehearse_command, rehearsal.rehearse, rehearsal.skipping"
SERVING = "import router.main, cli.asking, cli.kill_command, cli.flags_commands"


@pytest.mark.parametrize(
    ("code", "kept_out"),
    [
        (HELP, DRIVERS),
        (SERVING, {*SDKS, "temporalio"}),
        ("import worker, cli.people, cli.rehearse_command", SDKS),
        (REHEARSING, {*SDKS, "redis", "httpx", "asyncpg", "jinja2"}),
    ],
    ids=["help", "router and flags", "worker and rehearsal", "rehearsing"],
)
def test_drivers_are_loaded_where_they_are_used(code: str, kept_out: set[str]) -> None:
    shown = f"import sys; {code}; print('loaded', *{kept_out!r} & set(sys.modules))"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", shown], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_each_command_says_of_itself(name: str) -> None:
    assert summary(COMMANDS[name])


def test_a_command_after_two_dashes_is_the_command() -> None:
    assert [each.name for each in build(["--", "lint"]).registered_commands] == ["lint"]
