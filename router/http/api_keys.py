"""API keys: each belongs to one tenant with its scopes, and is stored as a SHA-256 hash in a file.

One key per line: ``TENANT SCOPE[,SCOPE] HASH [id=NAME] [expires=YYYY-MM-DD]``; ``#`` begins a comment.
``sluice key TENANT`` prints a new key (256 random bits, shown once) and its line. A fast hash is
enough: such keys cannot be guessed.

The file is read again when it changes. A line that cannot be parsed grants nothing and is logged
with its number; all other lines apply, so a removed key is refused although another line has a typo.
"""

import hashlib
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import structlog

from router.errors import Forbidden, RouterSettingsError, Unauthorised

SCOPES = ("query", "feedback")
KEY_PREFIX = "slk_"
KEY_ID_CHARS = 8
DIAGNOSTICS_MAX = 10
UNAUTHORISED_TENANT = "-"
"""Shared by all requests without a valid key, which get 401; not a valid tenant name."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_EXPECTED = (
    "a key is TENANT SCOPES HASH [id=NAME] [expires=YYYY-MM-DD]: names of letters, digits, . _ -; "
    f"scopes of {', '.join(SCOPES)} joined by commas; 64 hexadecimal digits"
)
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """A tenant with the scopes of its key; ``key_id`` names the key in logs.

    ``expires_at`` is the epoch second from which the key is refused, or None.
    """

    tenant: str
    scopes: frozenset[str]
    key_id: str = ""
    expires_at: float | None = None


ANONYMOUS = Principal("default", frozenset(SCOPES))


def generate_key() -> str:
    """Return 256 random bits after a prefix that secret scanners can find."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def format_key_line(
    tenant: str, scopes: tuple[str, ...], key: str, expires: date | None = None
) -> str:
    """Return the file's line for a key.

    Raises:
        RouterSettingsError: the tenant or a scope is invalid.
    """
    line = f"{tenant} {','.join(scopes)} {_hash_key(key)}"
    if expires is not None:
        line += f" expires={expires.isoformat()}"
    _parse_line(line)
    return line


class ApiKeys:
    """The keys of one file. Without a file every caller is the tenant ``default``."""

    def __init__(self, path: Path | None) -> None:
        """Read the file.

        Raises:
            RouterSettingsError: the file is unreadable, writable by everyone, or has a bad line.
        """
        self._path = path
        self._file_version: tuple[int, ...] | None = None
        self._principals: Mapping[str, Principal] = {}
        if path is None:
            logger.warning("access_open", reason="SLUICE_API_KEYS is not set: no key is required")
            return
        self._file_version = _file_version(path)
        self._principals, diagnostics = _read_file(path)
        if diagnostics:
            raise RouterSettingsError("; ".join(diagnostics[:DIAGNOSTICS_MAX]))

    def authorize(self, authorization: str | None, scope: str) -> Principal:
        """Return the principal of an ``Authorization: Bearer KEY`` header.

        Raises:
            Unauthorised: no key, an unknown key, or an expired one.
            Forbidden: the key lacks the scope.
        """
        if self._path is None:
            return ANONYMOUS
        principal = self._find_principal(authorization or "")
        if principal is None:
            raise Unauthorised("send Authorization: Bearer and a valid API key")
        if principal.expires_at is not None and time.time() >= principal.expires_at:
            raise Unauthorised(f"API key {principal.key_id!r} has expired: request a new one")
        if scope not in principal.scopes:
            raise Forbidden(
                f"API key {principal.key_id!r} of tenant {principal.tenant!r} has no scope {scope!r}"
            )
        return principal

    def tenant(self, authorization: str) -> str:
        """Return the tenant whose share of the process a request uses, valid key or not."""
        if self._path is None:
            return ANONYMOUS.tenant
        principal = self._find_principal(authorization)
        return principal.tenant if principal else UNAUTHORISED_TENANT

    def reload_if_changed(self) -> None:
        """Read the file again if it changed. An unreadable file leaves no valid key."""
        if self._path is None:
            return
        try:
            version = _file_version(self._path)
            if version == self._file_version:
                return
            self._principals, diagnostics = _read_file(self._path)
        except RouterSettingsError as error:
            version, self._principals, diagnostics = None, {}, [str(error)]
        if version is not None or self._file_version is not None:  # once per change
            for diagnostic in diagnostics:
                logger.error("api_key_line_ignored", reason=diagnostic)
            logger.info("api_keys_read", keys=len(self._principals))
        self._file_version = version

    def _find_principal(self, authorization: str) -> Principal | None:
        scheme, _, key = authorization.partition(" ")
        return self._principals.get(_hash_key(key.strip())) if scheme.lower() == "bearer" else None


def _file_version(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError as error:
        raise RouterSettingsError(f"SLUICE_API_KEYS={path}: {error.strerror}") from error
    if status.st_mode & stat.S_IWOTH:
        raise RouterSettingsError(
            f"SLUICE_API_KEYS={path} is writable by everyone: run chmod o-w {path}"
        )
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_file(path: Path) -> tuple[dict[str, Principal], list[str]]:
    """Return the principals by hash, and one diagnostic for each bad line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RouterSettingsError(f"SLUICE_API_KEYS={path}: {error}") from error
    principals: dict[str, Principal] = {}
    diagnostics: list[str] = []
    for number, line in _content_lines(text):
        try:
            digest, principal = _parse_line(line)
        except RouterSettingsError as error:
            diagnostics.append(f"{path}:{number}: {error}")
        else:
            principals[digest] = principal
    return principals, diagnostics


def _content_lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):  # as editors count
        if content := line.partition("#")[0].strip():
            yield number, content


def _parse_line(line: str) -> tuple[str, Principal]:
    tenant, scopes, digest, *options = (*line.split(), "", "", "")[: max(3, len(line.split()))]
    granted = frozenset(scopes.split(","))
    is_valid = _NAME.fullmatch(tenant) and _HASH.fullmatch(digest) and granted <= set(SCOPES)
    if not is_valid:
        raise RouterSettingsError(_EXPECTED)
    key_id, expires_at = digest[:KEY_ID_CHARS], None
    for option in options:
        name, _, value = option.partition("=")
        if name == "id" and _NAME.fullmatch(value):
            key_id = value
        elif name == "expires":
            expires_at = _parse_expiry(value)
        else:
            raise RouterSettingsError(f"{option!r} is not an option of a key: {_EXPECTED}")
    return digest, Principal(tenant, granted, key_id, expires_at)


def _parse_expiry(value: str) -> float:
    """Return the end of the day in UTC."""
    try:
        day = date.fromisoformat(value) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise RouterSettingsError(f"expires={value!r} is not a date: write YYYY-MM-DD") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
