"""Who may ask: API keys, each of one tenant with its scopes, kept as SHA-256 hashes in a file.

One key a line: ``TENANT SCOPE[,SCOPE] HASH``, ``#`` begins a comment. ``sluice key TENANT`` makes a
key (256 random bits, shown once) and its line. A fast hash is right for such keys: nobody can
guess them, so there is nothing to slow down. The file is read again when it changes: a key is
added or withdrawn without a restart. Without a file everybody who can connect may ask.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from router.errors import Forbidden, SettingsError, Unauthorised

SCOPES = ("query", "feedback")
PREFIX = "slk_"
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """A tenant and what its key allows."""

    tenant: str
    scopes: frozenset[str]


ANYBODY = Caller("default", frozenset(SCOPES))


def new_key() -> str:
    """256 random bits behind a prefix that secret scanners can find."""
    return PREFIX + secrets.token_urlsafe(32)


def line_of(tenant: str, scopes: tuple[str, ...], key: str) -> str:
    """The key's line of the file. Raises SettingsError for a bad tenant or scope."""
    line = f"{tenant} {','.join(scopes)} {_hashed(key)}"
    _read_line(line)
    return line


class Keys:
    """The callers of one file; ``None``: access is open."""

    def __init__(self, path: Path | None) -> None:
        """Raises SettingsError: the file is missing or has a line that can't be used."""
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._callers: Mapping[str, Caller] = {}
        if path is None:
            logger.warning("access_open", why="SLUICE_API_KEYS is not set: anybody may ask")
        else:
            self._stamp, self._callers = _stamp(path), dict(_read(path))

    def admit(self, authorization: str | None, scope: str) -> Caller:
        """The caller behind an ``Authorization: Bearer KEY``. Raises Unauthorised, Forbidden."""
        if self._path is None:
            return ANYBODY
        scheme, _, key = (authorization or "").partition(" ")
        caller = self._callers.get(_hashed(key.strip())) if scheme.lower() == "bearer" else None
        if caller is None:
            raise Unauthorised("send Authorization: Bearer and a valid API key")
        if scope not in caller.scopes:
            raise Forbidden(f"this key of tenant {caller.tenant!r} has no scope {scope!r}")
        return caller

    def refresh(self) -> None:
        """Read the file again when it changed; a file that can't be used leaves the keys as they are."""
        if self._path is None:
            return
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._callers, self._stamp = dict(_read(self._path)), stamp
                logger.info("keys_read", keys=len(self._callers))
        except SettingsError as error:
            logger.warning("keys_not_read", why=str(error))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise SettingsError(f"SLUICE_API_KEYS={path}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size


def _read(path: Path) -> Iterator[tuple[str, Caller]]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"SLUICE_API_KEYS={path}: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if content := line.partition("#")[0].strip():
            try:
                yield _read_line(content)
            except SettingsError as error:
                raise SettingsError(f"{path}:{number}: {error}") from None


def _read_line(line: str) -> tuple[str, Caller]:
    match line.split():
        case [tenant, scopes, digest] if _TENANT.fullmatch(tenant) and _HASH.fullmatch(digest):
            given = frozenset(scopes.split(","))
            if given and given <= set(SCOPES):
                return digest, Caller(tenant, given)
    raise SettingsError(
        "a key is TENANT SCOPES HASH: a name of letters, digits, . _ -; "
        f"scopes of {', '.join(SCOPES)} joined by commas; 64 hexadecimal digits"
    )


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
