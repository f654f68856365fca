"""The commands, and the module of each. A call imports only the module of its own command.

Importing all of them takes seconds. An abort must not wait for that.
"""

import ast
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, NamedTuple

import typer


class CommandSpec(NamedTuple):
    """A command's place in the help and in the code.

    ``panel`` is its heading in ``--help``, ``function`` a function or, for a group, a typer.Typer,
    and ``extra`` the optional part of the installation that it imports (empty: the base install).
    """

    panel: str
    module: str
    function: str
    extra: str = ""


COMMANDS = {
    "start": CommandSpec("Rollouts", "rollouts", "start", "rollouts"),
    "init": CommandSpec("Before", "init", "init"),
    "schema": CommandSpec("Before", "init", "schema"),
    "lint": CommandSpec("Rollouts", "lint", "lint"),
    "status": CommandSpec("Rollouts", "servers", "status", "rollouts"),
    "watch": CommandSpec("Rollouts", "rollouts", "watch", "rollouts"),
    "list": CommandSpec("Rollouts", "records.listing", "list_rollouts", "rollouts"),
    "explain": CommandSpec("Rollouts", "records.explain", "explain_rollout", "rollouts"),
    "cohorts": CommandSpec("Rollouts", "cohorts", "compare_cohorts", "rollouts"),
    "ledger": CommandSpec("Servers", "verify", "app", "rollouts"),
    "verify": CommandSpec("Rollouts", "verify", "verify"),
    "report": CommandSpec("Rollouts", "records.report", "report", "worker"),
    "whatif": CommandSpec("Rollouts", "plan_edits.whatif", "whatif", "rollouts"),
    "rehearse": CommandSpec("Before", "rehearse", "rehearse", "rehearsal"),
    "backtest": CommandSpec("Before", "backtest", "backtest", "rehearsal"),
    "simulate": CommandSpec("Before", "simulate", "simulate", "rehearsal"),
    "approve": CommandSpec("Decisions", "decisions", "approve", "rollouts"),
    "attest": CommandSpec("Decisions", "decisions", "attest", "rollouts"),
    "acknowledge": CommandSpec("Decisions", "decisions", "acknowledge", "rollouts"),
    "promote": CommandSpec("Decisions", "decisions", "promote", "rollouts"),
    "pause": CommandSpec("Decisions", "decisions", "pause", "rollouts"),
    "resume": CommandSpec("Decisions", "decisions", "resume", "rollouts"),
    "abort": CommandSpec("Decisions", "decisions", "abort", "rollouts"),
    "rollback": CommandSpec("Decisions", "decisions", "rollback", "rollouts"),
    "retry": CommandSpec("Decisions", "decisions", "retry", "rollouts"),
    "amend": CommandSpec("Decisions", "plan_edits.amend", "amend", "rollouts"),
    "kill": CommandSpec("Decisions", "kill", "kill"),
    "flags": CommandSpec("Flags and learning", "flags", "app"),
    "learning": CommandSpec("Flags and learning", "learning", "app", "router"),
    "up": CommandSpec("Servers", "servers", "up", "stack"),
    "down": CommandSpec("Servers", "servers", "down", "stack"),
    "doctor": CommandSpec("Servers", "doctor", "doctor", "rollouts"),
    "worker": CommandSpec("Servers", "servers", "worker", "worker"),
    "router": CommandSpec("Servers", "servers", "router", "router"),
    "console": CommandSpec("Servers", "console", "console", "console"),
    "mcp": CommandSpec("Servers", "mcp", "mcp", "agents"),
    "demo": CommandSpec("Servers", "servers", "demo", "all"),
    "ask": CommandSpec("Questions", "questions.query", "ask", "router"),
    "ingest": CommandSpec("Questions", "questions.ingest", "ingest", "router"),
    "catalog": CommandSpec("Questions", "questions.catalog", "app", "router"),
    "cache": CommandSpec("Questions", "questions.cache", "app", "router"),
    "classify": CommandSpec("Questions", "questions.intent", "classify", "router"),
    "evaluate": CommandSpec("Questions", "questions.intent", "evaluate", "router"),
    "train": CommandSpec("Questions", "questions.intent", "train", "router"),
    "latency": CommandSpec("Questions", "questions.query", "latency", "router"),
    "key": CommandSpec("Questions", "questions.query", "key", "router"),
}


COMPLETION_VARIABLE = "_SLUICE_COMPLETE"
"""Set by the shell's completion script."""


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """Build the application for a command line.

    It holds the called command alone. Without one it lists every command, for the help.
    """
    name = called_command(arguments)
    app = typer.Typer(
        name="sluice",
        help="Durable, metric-gated rollouts for AI query routers.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=name not in COMMANDS or COMPLETION_VARIABLE in os.environ,
    )
    app.callback()(_root)  # without it, typer would make a lone command the whole application
    if name in COMMANDS:
        _add_command(app, name, COMMANDS[name])
    else:
        for name, command in COMMANDS.items():
            app.command(name, rich_help_panel=command.panel)(_help_only_command(name, command))
    return app


def called_command(arguments: Sequence[str]) -> str:
    """Return the first word of a command line, or an empty string."""
    return next((word for word in arguments if word != "--"), "")


def words_to_complete(environment: Mapping[str, str]) -> list[str]:
    """Return the words that a shell asks to complete, so that its command is there with its options."""
    if COMPLETION_VARIABLE not in environment:
        return []
    line = environment.get("COMP_WORDS") or environment.get("_TYPER_COMPLETE_ARGS", "")
    words = line.split()[1:]
    is_first = len(words) < 2 and not line.endswith((" ", "\n"))  # noqa: PLR2004  the command's own
    return [] if is_first else words


def _print_version(is_requested: bool) -> None:
    if is_requested:
        from sluice import installation  # noqa: PLC0415  reads package metadata: slow

        print(f"sluice {installation.version()}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Durable, metric-gated rollouts for AI query routers."""


def _add_command(app: typer.Typer, name: str, command: CommandSpec) -> None:
    function = getattr(import_module(f"sluice.cli.commands.{command.module}"), command.function)
    if isinstance(function, typer.Typer):
        app.add_typer(function, name=name, rich_help_panel=command.panel)
    else:
        app.command(name, rich_help_panel=command.panel)(function)


def _help_only_command(name: str, command: CommandSpec) -> Callable[[], None]:
    """Return a command with the help of another, without importing that one."""

    def unreachable() -> None:
        raise AssertionError(f"{name} is called by its name as the first word")

    unreachable.__doc__ = help_text(command)
    return unreachable


def help_text(command: CommandSpec) -> str:
    """Return the docstring of a command, or the help of a group, read from its source.

    Raises:
        LookupError: the module has no such function or group.
    """
    source = (
        Path(__file__).parent / "commands" / f"{command.module.replace('.', '/')}.py"
    ).read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == command.function:
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            texts = [keyword.value for keyword in node.value.keywords if keyword.arg == "help"]
            if ast.unparse(node.targets[0]) == command.function and texts:
                return str(ast.literal_eval(texts[0]))
    raise LookupError(f"sluice.cli.commands.{command.module} has no {command.function}")
