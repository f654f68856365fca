"""Output: for people by default, one JSON document with ``--json``."""

import json as jsonlib
import re
import sys
from typing import Annotated, Any

import typer

from sluice.rollout.printable import escape_unprintable

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


PASSWORD_IN_URL = re.compile(r"(://[^:/@]*:)[^@]+@")


def print_result(as_json: bool, document: Any, text: str) -> None:  # noqa: ANN401  any JSON document
    """Print the result of a command."""
    print(jsonlib.dumps(document, default=str) if as_json else escape_unprintable(text))


def print_note(text: str) -> None:
    """Print to standard error, apart from the result."""
    print(escape_unprintable(text), file=sys.stderr)


def without_password(url: str) -> str:
    """Return the URL without its password, safe for terminals and CI logs."""
    return PASSWORD_IN_URL.sub(r"\1***@", url)
