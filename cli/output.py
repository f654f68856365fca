"""Output: for people by default, one JSON document with ``--json``."""

import json as jsonlib
import sys
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def answer(as_json: bool, document: Any, text: str) -> None:  # noqa: ANN401  any JSON document
    """Print the result of a command."""
    print(jsonlib.dumps(document, default=str) if as_json else text)


def say(text: str) -> None:
    """Tell something aside, so that it never mixes with a result."""
    print(text, file=sys.stderr)
