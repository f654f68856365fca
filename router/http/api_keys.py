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

from router.errors import Forbidden, RouterSettingsError, Unauthorised

SCOPES = ("query", "feedback")
KEY_PREFIX = "slk_"
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """A tenant and what its key allows."""

    tenant: str
    scopes: frozenset[str]


UNAUTHORISED_TENANT = "-"
"""Shared by all requests without a valid key, which get 401; not a valid tenant name."""
ANONYMOUS = Principal("default", frozenset(SCOPES))


def generate_key() -> str:
    """256 random bits behind a prefix that secret scanners can find."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def format_key_line(tenant: str, scopes: tuple[str, ...], key: str) -> str:
    """The key's line of the file. Raises SettingsError for a bad tenant or scope."""
    line = f"{tenant} {','.join(scopes)} {_hash_key(key)}"
    _parse_line(line)
    return line


class ApiKeys:
    """The callers of one file; ``None``: access is open."""

    def __init__(self, path: Path | None) -> None:
        """Raises SettingsError: the file is missing or has a line that can't be used."""
        self._path = path
        self._file_version: tuple[int, int] | None = None
        self._principals: Mapping[str, Principal] = {}
        if path is None:
            logger.warning("access_open", why="SLUICE_API_KEYS is not set: anybody may ask")
        else:
            self._file_version, self._principals = _file_version(path), dict(_read_file(path))

    def authorize(self, authorization: str | None, scope: str) -> Principal:
        """The caller behind an ``Authorization: Bearer KEY``. Raises Unauthorised, Forbidden."""
        if self._path is None:
            return ANONYMOUS
        caller = self._principal(authorization or "")
        if caller is None:
            raise Unauthorised("send Authorization: Bearer and a valid API key")
        if scope not in caller.scopes:
            raise Forbidden(f"this key of tenant {caller.tenant!r} has no scope {scope!r}")
        return caller

    def tenant(self, authorization: str) -> str:
        """Return the tenant of a request for its share of the process, valid key or not."""
        if self._path is None:
            return ANONYMOUS.tenant
        principal = self._principal(authorization)
        return principal.tenant if principal else UNAUTHORISED_TENANT

    def _principal(self, authorization: str) -> Principal | None:
        scheme, _, key = authorization.partition(" ")
        return self._principals.get(_hash_key(key.strip())) if scheme.lower() == "bearer" else None

    def reload_if_changed(self) -> None:
        """Read the file again when it changed; a file that can't be used leaves the keys as they are."""
        if self._path is None:
            return
        try:
            stamp = _file_version(self._path)
            if stamp != self._file_version:
                self._principals, self._file_version = dict(_read_file(self._path)), stamp
                logger.info("keys_read", keys=len(self._principals))
        except RouterSettingsError as error:
            logger.warning("keys_not_read", why=str(error))


def _file_version(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise RouterSettingsError(f"SLUICE_API_KEYS={path}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size


def _read_file(path: Path) -> Iterator[tuple[str, Principal]]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RouterSettingsError(f"SLUICE_API_KEYS={path}: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if content := line.partition("#")[0].strip():
            try:
                yield _parse_line(content)
            except RouterSettingsError as error:
                raise RouterSettingsError(f"{path}:{number}: {error}") from None


def _parse_line(line: str) -> tuple[str, Principal]:
    match line.split():
        case [tenant, scopes, digest] if _TENANT.fullmatch(tenant) and _HASH.fullmatch(digest):
            given = frozenset(scopes.split(","))
            if given and given <= set(SCOPES):
                return digest, Principal(tenant, given)
    raise RouterSettingsError(
        "a key is TENANT SCOPES HASH: a name of letters, digits, . _ -; "
        f"scopes of {', '.join(SCOPES)} joined by commas; 64 hexadecimal digits"
    )


def _hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
