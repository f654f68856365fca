"""Every command and the module that it lives in, which is imported only when it is called.

Importing everything takes seconds, and nobody who aborts a rollout has seconds to give.
"""

import ast
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import typer


class CommandSpec(NamedTuple):
    """``panel`` is where ``--help`` lists it; ``function`` is a typer.Typer for a group."""

    panel: str
    module: str
    function: str


COMMANDS = {
    "start": CommandSpec("Rollouts", "rollouts", "start"),
    "lint": CommandSpec("Rollouts", "lint", "lint"),
    "status": CommandSpec("Rollouts", "servers", "status"),
    "watch": CommandSpec("Rollouts", "rollouts", "watch"),
    "list": CommandSpec("Rollouts", "rollouts", "list_rollouts"),
    "explain": CommandSpec("Rollouts", "explain", "explain_rollout"),
    "report": CommandSpec("Rollouts", "report", "report"),
    "whatif": CommandSpec("Rollouts", "whatif", "whatif"),
    "rehearse": CommandSpec("Before", "rehearse", "rehearse"),
    "backtest": CommandSpec("Before", "backtest", "backtest"),
    "simulate": CommandSpec("Before", "simulate", "simulate"),
    "approve": CommandSpec("Decisions", "decisions", "approve"),
    "attest": CommandSpec("Decisions", "decisions", "attest"),
    "promote": CommandSpec("Decisions", "decisions", "promote"),
    "pause": CommandSpec("Decisions", "decisions", "pause"),
    "resume": CommandSpec("Decisions", "decisions", "resume"),
    "abort": CommandSpec("Decisions", "decisions", "abort"),
    "rollback": CommandSpec("Decisions", "decisions", "rollback"),
    "retry": CommandSpec("Decisions", "decisions", "retry"),
    "kill": CommandSpec("Decisions", "kill", "kill"),
    "flags": CommandSpec("Flags and learning", "flags", "app"),
    "learning": CommandSpec("Flags and learning", "learning", "app"),
    "up": CommandSpec("Servers", "servers", "up"),
    "down": CommandSpec("Servers", "servers", "down"),
    "doctor": CommandSpec("Servers", "doctor", "doctor"),
    "worker": CommandSpec("Servers", "servers", "worker"),
    "router": CommandSpec("Servers", "servers", "router"),
    "console": CommandSpec("Servers", "console", "console"),
    "demo": CommandSpec("Servers", "servers", "demo"),
    "ask": CommandSpec("Questions", "query", "ask"),
    "ingest": CommandSpec("Questions", "ingest", "ingest"),
    "cache": CommandSpec("Questions", "cache", "app"),
    "classify": CommandSpec("Questions", "intent", "classify"),
    "evaluate": CommandSpec("Questions", "intent", "evaluate"),
    "train": CommandSpec("Questions", "intent", "train"),
    "latency": CommandSpec("Questions", "query", "latency"),
    "key": CommandSpec("Questions", "query", "key"),
}


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """Make the application for a command line: the called command, or for the help all their names."""
    app = typer.Typer(
        name="sluice",
        help="Durable, metric-gated rollouts for AI query routers.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_root)  # or a lone command would take the place of the whole application
    called = next((word for word in arguments if word != "--"), "")
    if called in COMMANDS:
        _add_command(app, called, COMMANDS[called])
    else:
        for name, command in COMMANDS.items():
            app.command(name, rich_help_panel=command.panel)(_help_only_command(name, command))
    return app


def _root() -> None:
    """Durable, metric-gated rollouts for AI query routers."""


def _add_command(app: typer.Typer, name: str, command: CommandSpec) -> None:
    function = getattr(import_module(f"sluice.cli.commands.{command.module}"), command.function)
    if isinstance(function, typer.Typer):
        app.add_typer(function, name=name, rich_help_panel=command.panel)
    else:
        app.command(name, rich_help_panel=command.panel)(function)


def _help_only_command(name: str, command: CommandSpec) -> Callable[[], None]:
    """A command as the list of all shows it, with nothing of it imported."""

    def unreachable() -> None:
        raise AssertionError(f"{name} is called by its name as the first word")

    unreachable.__doc__ = help_text(command)
    return unreachable


def help_text(command: CommandSpec) -> str:
    """What a command or a group says of itself, read from its source."""
    source = (Path(__file__).parent / "commands" / f"{command.module}.py").read_text(
        encoding="utf-8"
    )
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == command.function:
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            helps = [word.value for word in node.value.keywords if word.arg == "help"]
            if ast.unparse(node.targets[0]) == command.function and helps:
                return str(ast.literal_eval(helps[0]))
    raise LookupError(f"sluice.cli.commands.{command.module} has no {command.function}")
