"""A process loads the drivers that it uses and no others: their imports take seconds each."""

import subprocess
import sys

import pytest

from sluice.cli.registry import COMMANDS, build_app, help_text

SDKS = {"anthropic", "openai", "sklearn", "qdrant_client", "neo4j"}
DRIVERS = {*SDKS, "temporalio", "redis", "httpx", "numpy", "onnxruntime", "fastapi"}
HELP = "from sluice.cli.main import _run; sys.argv = ['sluice', '--help']; _run()"
REHEARSING = "import sluice.cli.commands.rehearse, sluice.rehearsal.runner.temporal_rehearsal, sluice.rehearsal.runner.time_skipping_server"
LISTING = "import sluice.cli.main, sluice.cli.commands.records.listing, sluice.cli.clients.listing"
RECORDS = "import sluice.cli.main, sluice.cli.commands.records.explain, sluice.cli.commands.records.report, sluice.cli.commands.plan_edits.whatif, activities.rendering.report_files"
SERVING = "import router.main, sluice.cli.commands.questions.query, sluice.cli.commands.kill, sluice.cli.commands.flags"


@pytest.mark.parametrize(
    ("code", "kept_out"),
    [
        (HELP, DRIVERS),
        (LISTING, {"temporalio.client", "asyncpg", "sluice.rollout.plan.schema", *SDKS}),
        (RECORDS, {"temporalio", "psutil", "httpx", "numpy", *SDKS}),
        (SERVING, {*SDKS, "temporalio"}),
        ("import worker, sluice.cli.commands.decisions, sluice.cli.commands.rehearse", SDKS),
        (REHEARSING, {*SDKS, "redis", "httpx", "asyncpg", "jinja2"}),
    ],
    ids=["help", "list", "records", "router and flags", "worker and rehearsal", "rehearsing"],
)
def test_drivers_are_loaded_where_they_are_used(code: str, kept_out: set[str]) -> None:
    shown = f"import sys; {code}; print('loaded', *{kept_out!r} & set(sys.modules))"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", shown], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_list_has_a_summary_of_each_command(name: str) -> None:
    assert help_text(COMMANDS[name])


def test_a_command_after_two_dashes_is_the_command() -> None:
    assert [each.name for each in build_app(["--", "lint"]).registered_commands] == ["lint"]
