"""The data folder of a stack (``.sluice`` or ``SLUICE_HOME``) and its layout."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME_VARIABLE = "SLUICE_HOME"
HOME_DEFAULT = ".sluice"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The paths below one data folder; the folder is private to its user (mode 700)."""

    path: Path

    @property
    def state_file(self) -> Path:
        return self.path / "stack.json"

    @property
    def ports_file(self) -> Path:
        return self.path / "ports.json"

    @property
    def lock_file(self) -> Path:
        return self.path / "sluice.stack.lock"

    @property
    def log_directory(self) -> Path:
        return self.path / "logs"

    def log_file(self, name: str) -> Path:
        return self.log_directory / f"{name}.log"

    def service_directory(self, name: str) -> Path:
        return self.path / "data" / name

    def create(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log_directory.mkdir(exist_ok=True)


def default_home(environ: Mapping[str, str], directory: Path) -> Path:
    """Return ``SLUICE_HOME``, or ``.sluice`` in ``directory``, as an absolute path."""
    return (directory / environ.get(HOME_VARIABLE, HOME_DEFAULT)).resolve()


def write_atomically(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, with mode 600: it may hold passwords."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``; empty for a missing or unreadable file."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def load_or_create_password(path: Path) -> str:
    """Return the password in ``path``; generate it at first use with mode 600."""
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(24))
    return path.read_text()
