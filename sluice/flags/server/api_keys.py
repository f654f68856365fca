"""API keys of the flags server: a file of SHA-256 hashes, each with a name and its scopes.

One key a line: `NAME SCOPE[,SCOPE] HASH`; `#` begins a comment. `sluice flags key NAME` makes a key
(256 random bits) and its line. Such keys cannot be guessed, so a fast hash is enough. The file is
read again when it changes. Without a file every caller is allowed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from sluice.flags.errors import InvalidFlagError
from sluice.flags.server.stream_tokens import is_valid_token, issue_token

EVALUATE, OUTCOMES = "evaluate", "outcomes"
SCOPES = (EVALUATE, OUTCOMES)
KEY_PREFIX = "slf_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
PROBLEMS_MAX = 10
FileStamp = tuple[int, int, int]


def generate_key() -> str:
    """Return 256 random bits behind a prefix that secret scanners can find."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def format_key_line(name: str, scopes: tuple[str, ...], key: str) -> str:
    """Return the key's line of the file; raise InvalidFlagError for a bad name or scope."""
    line = f"{name} {','.join(scopes)} {_hash_key(key)}"
    _parse_line(line)
    return line


class FlagApiKeys:
    """The keys of one file; without a path every caller is allowed.

    Raises:
        InvalidFlagError: the file is missing, or one of its lines is not a key.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: FileStamp | None = None
        self._scopes: Mapping[str, frozenset[str]] = {}
        self.reload_if_changed()

    def scopes(self, key: str) -> frozenset[str]:
        """Return what the key allows; nothing for an unknown key."""
        if self._path is None:
            return frozenset(SCOPES)
        return self._scopes.get(_hash_key(key), frozenset())

    def stream_token(self, key: str, now: float) -> str:
        """Return what opens the event stream for the key's caller; empty where no key is needed."""
        return issue_token(_hash_key(key), now) if self._path else ""

    def stream_caller(self, token: str, key: str, now: float) -> str | None:
        """Return the hash of the key that opens an event stream, or None if nothing valid does.

        The caller sends a token of its key, or the key. Without a file the hash is empty.
        """
        if self._path is None:
            return ""
        readers = [digest for digest, scopes in self._scopes.items() if EVALUATE in scopes]
        own_hash = _hash_key(key)
        valid = (each for each in readers if each == own_hash or is_valid_token(token, each, now))
        return next(valid, None)

    def reload_if_changed(self) -> None:
        """Read the file again if it changed; without it no key is valid.

        Raises:
            InvalidFlagError: the file can't be read, everybody may write it, or a line is not a
                key. The other lines count all the same, so a removed key is refused.
        """
        if self._path is None:
            return
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_mode)
            if stamp == self._stamp:
                return
            if status.st_mode & stat.S_IWOTH:
                raise PermissionError(f"everybody may write it: run chmod o-w {self._path}")
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._scopes, self._stamp = {}, None
            raise InvalidFlagError(
                f"the API keys in {self._path} are not readable: {error}"
            ) from None
        self._stamp = stamp
        self._scopes, problems = _parse_file(text)
        if problems:
            raise InvalidFlagError("; ".join(problems[:PROBLEMS_MAX]))


def _parse_file(text: str) -> tuple[dict[str, frozenset[str]], list[str]]:
    """Return the scopes by hash, and what is wrong with each line that is not a key."""
    scopes: dict[str, frozenset[str]] = {}
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.partition("#")[0].strip()
        try:
            scopes |= dict([_parse_line(content)]) if content else {}
        except InvalidFlagError as error:
            problems.append(f"line {number}: {error}")
    return scopes, problems


def _parse_line(line: str) -> tuple[str, frozenset[str]]:
    match line.split():
        case [name, scopes, digest] if _NAME.fullmatch(name) and _HASH.fullmatch(digest):
            parsed = frozenset(scopes.split(","))
            if parsed <= set(SCOPES):
                return digest, parsed
    raise InvalidFlagError(
        f"API key line {line!r}: write NAME SCOPES HASH, with a name of letters, digits, '.', '_' "
        f"or '-', scopes of {', '.join(SCOPES)} joined by commas, and 64 hexadecimal digits"
    )


def _hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
