"""The keyring: people, their public keys, roles and validity, in OpenSSH's allowed_signers format.

``ssh-keygen -Y verify -f keyring -n sluice`` reads the same file. Roles and environments are words
of the comment, which OpenSSH ignores::

    ada@example.org namespaces="sluice",valid-before="20270101Z" ssh-ed25519 AAAA… roles=approver

See ``man ssh-keygen``, ALLOWED SIGNERS.
"""

import base64
import binascii
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sluice.identity.errors import KeyringError, SignatureFormatError
from sluice.identity.ssh_keys import canonical_key, key_type
from sluice.identity.ssh_wire import fingerprint
from sluice.identity.sshsig import NAMESPACE
from sluice.rollout.printable import fold_name, name_problem

_LINE = re.compile(
    r"(?P<name>\S+)\s+(?:(?P<options>[a-z-]+(?:=\"[^\"]*\")?(?:,[a-z-]+(?:=\"[^\"]*\")?)*)\s+)?"
    r"(?P<type>[a-z0-9@.-]+)\s+(?P<key>[A-Za-z0-9+/]+=*)(?:\s+(?P<comment>.*))?"
)
_OPTION = re.compile(r"([a-z-]+)(?:=\"([^\"]*)\")?")
_TIMES = {9: "%Y%m%dZ", 13: "%Y%m%d%H%MZ", 15: "%Y%m%d%H%M%SZ"}
_NAME = re.compile(r"[^\s,*?!\"]{1,200}")


class Role(StrEnum):
    """A person's right. Lowering traffic needs none; ``gateway`` is the console's own key."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class KeyringEntry:
    """One key of one person. ``environments`` empty: valid in all of them."""

    name: str
    key_blob: bytes
    roles: frozenset[Role]
    environments: frozenset[str]
    valid_after: datetime | None
    valid_before: datetime | None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key_blob)

    def is_valid_at(self, at: datetime) -> bool:
        began = self.valid_after is None or at >= self.valid_after
        return began and (self.valid_before is None or at < self.valid_before)

    def covers(self, environment: str) -> bool:
        return not self.environments or environment in self.environments


@dataclass(frozen=True, slots=True)
class Keyring:
    """All entries, one for each key."""

    entries: tuple[KeyringEntry, ...]

    def entry_of(self, key_blob: bytes) -> KeyringEntry | None:
        """Find the entry of a key; None when the keyring does not hold it."""
        return next((entry for entry in self.entries if entry.key_blob == key_blob), None)

    def roles_of(self, name: str, environment: str | None, at: datetime) -> frozenset[Role] | None:
        """Collect the roles of a person's valid keys; None for a person without any line.

        A line of another spelling of the name, such as ``Ada`` for ``ada``, gives nothing.
        """
        folded = fold_name(name)
        lines = [entry for entry in self.entries if fold_name(entry.name) == folded]
        if not lines:
            return None
        valid = (e for e in lines if e.name == name and e.is_valid_at(at))
        usable = (e for e in valid if environment is None or e.covers(environment))
        return frozenset(role for entry in usable for role in entry.roles)


def read_keyring(path: Path) -> Keyring:
    """Read an allowed_signers file.

    Raises:
        KeyringError: also for a file that everybody may write.
        OSError, UnicodeDecodeError: the file is not readable.
    """
    if path.stat().st_mode & stat.S_IWOTH:
        raise KeyringError(f"everybody may write {path}: run chmod o-w {path}")
    return parse_keyring(path.read_text(encoding="utf-8"))


def parse_keyring(text: str) -> Keyring:
    """Parse an allowed_signers file.

    Raises:
        KeyringError: names the line and what is wrong with it. No line is skipped in silence.
    """
    entries: list[KeyringEntry] = []
    keys: set[bytes] = set()
    names: dict[str, str] = {}
    for number, line in _lines(text):
        try:
            entry = _parse_line(line)
            _require_new_key(entry, keys)
            _require_one_spelling(entry.name, names)
        except (ValueError, SignatureFormatError) as error:
            raise KeyringError(f"keyring line {number}: {error}") from error
        entries.append(entry)
    return Keyring(tuple(entries))


def _require_new_key(entry: KeyringEntry, keys: set[bytes]) -> None:
    key = canonical_key(entry.key_blob)
    if key in keys:
        raise ValueError(f"key {entry.fingerprint} is listed twice")
    keys.add(key)


def _require_one_spelling(name: str, names: dict[str, str]) -> None:
    earlier = names.setdefault(fold_name(name), name)
    if earlier != name:
        raise ValueError(f"name {name!r} differs from {earlier!r} only in its spelling")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that OpenSSH reads: only a line feed ends one, also after a ``#``."""
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _parse_line(line: str) -> KeyringEntry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("expected: NAME [OPTIONS] KEYTYPE BASE64 roles=ROLE[,ROLE]")
    name = match["name"]
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} must be one person's name, without patterns or commas")
    if problem := name_problem(line.replace("\t", " ")):
        raise ValueError(problem)
    options = _parse_options(match["options"] or "")
    words = _parse_comment(match["comment"] or "")
    valid_after, valid_before = _parse_validity(options)
    return KeyringEntry(
        name=name,
        key_blob=_parse_key(match["type"], match["key"]),
        roles=_parse_roles(words.get("roles", ())),
        environments=frozenset(words.get("environments", ())),
        valid_after=valid_after,
        valid_before=valid_before,
    )


def _parse_validity(options: dict[str, str]) -> tuple[datetime | None, datetime | None]:
    after, before = (_parse_time(options.get(f"valid-{end}")) for end in ("after", "before"))
    if after is not None and before is not None and before <= after:
        raise ValueError("valid-before must be later than valid-after")
    return after, before


def _parse_options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for match in _OPTION.finditer(text):
        if match[1] in options:
            raise ValueError(f"option {match[1]!r} is written twice")
        options[match[1]] = match[2] or ""
    for unknown in options.keys() - {"namespaces", "valid-after", "valid-before"}:
        raise ValueError(f"option {unknown!r} is not supported")
    namespaces = options.get("namespaces")
    if namespaces is not None and (NAMESPACE not in namespaces.split(",") or "!" in namespaces):
        raise ValueError(f'namespaces="{namespaces}" must include {NAMESPACE}, and exclude none')
    return options


def _parse_comment(text: str) -> dict[str, tuple[str, ...]]:
    """Read the words ``roles=…`` and ``environments=…``; other words are a plain comment."""
    words: dict[str, tuple[str, ...]] = {}
    for word in text.split():
        name, separator, value = word.partition("=")
        if not separator:
            continue
        values = tuple(value.split(","))
        if name not in ("roles", "environments") or name in words or "" in values:
            raise ValueError(f"{word!r}: expected one roles=… and one environments=…")
        words[name] = values
    return words


def _parse_roles(names: tuple[str, ...]) -> frozenset[Role]:
    role_names = ", ".join(Role)
    for name in names:
        if name not in tuple(Role):
            raise ValueError(f"role {name!r} is unknown; known: {role_names}")
    return frozenset(Role(name) for name in names) or frozenset({Role.VIEWER})


def _parse_key(type_name: str, text: str) -> bytes:
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the key's base64 is damaged: {error}") from error
    if key_type(blob) != type_name:
        raise ValueError(f"the line says {type_name}, the key is {key_type(blob)}")
    canonical_key(blob)
    return blob


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    if not text.endswith("Z") or len(text) not in _TIMES:
        raise ValueError(f"time {text!r}: write YYYYMMDDZ or YYYYMMDDHHMMSSZ (UTC)")
    return datetime.strptime(text, _TIMES[len(text)]).replace(tzinfo=UTC)
