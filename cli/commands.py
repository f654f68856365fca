"""Every command and the module that it lives in, which is imported only when it is called.

Importing everything takes seconds, and nobody who aborts a rollout has seconds to give.
"""

import ast
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import typer


class Command(NamedTuple):
    """``panel`` is where ``--help`` lists it; ``function`` is a typer.Typer for a group."""

    panel: str
    module: str
    function: str


COMMANDS = {
    "start": Command("Rollouts", "rollout_commands", "start"),
    "lint": Command("Rollouts", "lint_command", "lint"),
    "status": Command("Rollouts", "servers", "status"),
    "watch": Command("Rollouts", "rollout_commands", "watch"),
    "list": Command("Rollouts", "rollout_commands", "list_rollouts"),
    "explain": Command("Rollouts", "evidence", "explain_rollout"),
    "report": Command("Rollouts", "report_command", "report"),
    "whatif": Command("Rollouts", "whatif_command", "whatif"),
    "rehearse": Command("Before", "rehearse_command", "rehearse"),
    "backtest": Command("Before", "backtest_command", "backtest"),
    "simulate": Command("Before", "simulate_command", "simulate"),
    "approve": Command("Decisions", "consent", "approve"),
    "attest": Command("Decisions", "consent", "attest"),
    "promote": Command("Decisions", "people", "promote"),
    "pause": Command("Decisions", "people", "pause"),
    "resume": Command("Decisions", "people", "resume"),
    "abort": Command("Decisions", "people", "abort"),
    "rollback": Command("Decisions", "rollback_command", "rollback"),
    "retry": Command("Decisions", "people", "retry"),
    "kill": Command("Decisions", "kill_command", "kill"),
    "flags": Command("Flags and learning", "flags_commands", "app"),
    "learning": Command("Flags and learning", "learning_commands", "app"),
    "up": Command("Servers", "servers", "up"),
    "down": Command("Servers", "servers", "down"),
    "doctor": Command("Servers", "doctor", "doctor"),
    "worker": Command("Servers", "servers", "worker"),
    "router": Command("Servers", "servers", "router"),
    "demo": Command("Servers", "servers", "demo"),
    "ask": Command("Questions", "asking", "ask"),
    "ingest": Command("Questions", "ingest_command", "ingest"),
    "cache": Command("Questions", "cache_commands", "app"),
    "classify": Command("Questions", "intent_commands", "classify"),
    "evaluate": Command("Questions", "intent_commands", "evaluate"),
    "train": Command("Questions", "intent_commands", "train"),
    "latency": Command("Questions", "asking", "latency"),
    "key": Command("Questions", "asking", "key"),
}


def build(words: Sequence[str]) -> typer.Typer:
    """Make the application for a command line: the called command, or for the help all their names."""
    app = typer.Typer(
        name="sluice",
        help="Durable, metric-gated rollouts for AI query routers.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_sluice)  # or a lone command would take the place of the whole application
    called = next((word for word in words if word != "--"), "")
    if called in COMMANDS:
        _add(app, called, COMMANDS[called])
    else:
        for name, command in COMMANDS.items():
            app.command(name, rich_help_panel=command.panel)(_listed(name, command))
    return app


def _sluice() -> None:
    """Durable, metric-gated rollouts for AI query routers."""


def _add(app: typer.Typer, name: str, command: Command) -> None:
    function = getattr(import_module(f"cli.{command.module}"), command.function)
    if isinstance(function, typer.Typer):
        app.add_typer(function, name=name, rich_help_panel=command.panel)
    else:
        app.command(name, rich_help_panel=command.panel)(function)


def _listed(name: str, command: Command) -> Callable[[], None]:
    """A command as the list of all shows it, with nothing of it imported."""

    def unreachable() -> None:
        raise AssertionError(f"{name} is called by its name as the first word")

    unreachable.__doc__ = summary(command)
    return unreachable


def summary(command: Command) -> str:
    """What a command or a group says of itself, read from its source."""
    source = Path(__file__).with_name(f"{command.module}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == command.function:
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            helps = [word.value for word in node.value.keywords if word.arg == "help"]
            if ast.unparse(node.targets[0]) == command.function and helps:
                return str(ast.literal_eval(helps[0]))
    raise LookupError(f"cli.{command.module} has no {command.function}")
