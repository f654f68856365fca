"""The keyring reads OpenSSH's allowed_signers, and no line is skipped in silence."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice.identity import KeyringError, Role, parse_keyring, read_keyring
from sluice.identity.ssh_wire import WireReader, wire_string
from tests.unit.identity.ssh_fixtures import keyring_line, make_key


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"), "ada")


def test_line_gives_name_roles_environments_and_validity(ada: Path) -> None:
    options = 'namespaces="git,sluice",valid-after="20260101Z",valid-before="20270101120000Z"'
    text = keyring_line("ada@example.org", ada, "approver,operator", options)
    (entry,) = parse_keyring(f"# people\n\n{text} environments=staging,production ada's\n").entries
    assert entry.name == "ada@example.org"
    assert entry.roles == {Role.APPROVER, Role.OPERATOR}
    assert entry.environments == {"staging", "production"}
    assert not entry.covers("canary")
    assert entry.valid_after == datetime(2026, 1, 1, tzinfo=UTC)
    assert entry.valid_before == datetime(2027, 1, 1, 12, tzinfo=UTC)


def test_line_without_roles_gives_no_right_to_raise(ada: Path) -> None:
    """An allowed_signers file of git can be used as it is; it authorizes nothing."""
    line = keyring_line("ada", ada).replace(" roles=approver", " ada@laptop")
    assert parse_keyring(line).entries[0].roles == {Role.VIEWER}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("roles=approver", "roles=aprover"), "role 'aprover' is unknown"),
        (("roles=approver", "role=approver"), "expected one roles="),
        (("ada ", "ada,bob "), "one person's name"),
        (("ada ", "*@example.org "), "one person's name"),
        (("ada ", "ada cert-authority "), "option 'cert-authority' is not supported"),
        (("ada ", 'ada namespaces="git" '), "must include sluice"),
        (("ada ", 'ada valid-before="20270101" '), "YYYYMMDDZ"),
        (("ada ", 'ada namespaces="sluice,!git" '), "exclude none"),
        (("ada ", 'ada namespaces="git",namespaces="sluice" '), "'namespaces' is written twice"),
        (("ada ", 'ada valid-before="20260101Z",valid-after="20270101Z" '), "must be later"),
        (("roles=approver", "roles=approver environments=,"), "expected one roles="),
        (("ada ", "ada\u200b "), r"invisible character U\+200B at position 4"),
        (("ada ", "\ufeffada "), r"invisible character U\+FEFF"),
        (("ada ", "\u202eada "), r"invisible character U\+202E"),
        (("ssh-ed25519 ", "ssh-rsa "), "the line says ssh-rsa"),
        (("ssh-ed25519 AAAA", "ssh-ed25519 AAAB"), "keyring line 1"),
    ],
)
def test_line_that_cannot_be_used_is_named(
    change: tuple[str, str], message: str, ada: Path
) -> None:
    """A typing error in a right must not become another right."""
    with pytest.raises(KeyringError, match=message):
        parse_keyring(keyring_line("ada", ada).replace(*change, 1))


def test_key_belongs_to_one_person(ada: Path) -> None:
    """One key under two names could approve twice."""
    with pytest.raises(KeyringError, match="listed twice"):
        parse_keyring("\n".join(keyring_line(name, ada) for name in ("ada", "bob")))


def test_person_has_one_spelling(ada: Path, tmp_path: Path) -> None:
    """Two spellings that look alike could approve twice."""
    other = make_key(tmp_path, "other")
    for twin in ("Ada", "\uff41da"):
        with pytest.raises(KeyringError, match=r"line 2: name .* only in its spelling"):
            parse_keyring(f"{keyring_line('ada', ada)}\n{keyring_line(twin, other)}")


def test_key_has_one_person_in_every_encoding(tmp_path: Path) -> None:
    """SSH's integers may carry leading zeros: the same RSA key has many encodings."""
    key = make_key(tmp_path, "ada", "rsa")
    line = keyring_line("ada", key)
    blob = line.split()[2]
    reader = WireReader(base64.b64decode(blob))
    kind, *numbers = (reader.string() for _ in range(3))
    padded = b"".join(map(wire_string, (kind, *(b"\0" + number for number in numbers))))
    twin = line.replace(blob, base64.b64encode(padded).decode()).replace("ada", "bob", 1)
    with pytest.raises(KeyringError, match=r"line 2: .* listed twice"):
        parse_keyring(f"{line}\n{twin}")


@pytest.mark.parametrize("separator", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_comment_hides_no_line(separator: str, ada: Path) -> None:
    """A reviewer and OpenSSH read such a line as a comment; it must give no rights."""
    assert parse_keyring(f"# a new laptop{separator}{keyring_line('eve', ada)}").entries == ()


def test_file_that_everybody_may_write_is_refused(ada: Path, tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    path.write_text(keyring_line("ada", ada), encoding="ascii")
    path.chmod(0o644)
    assert len(read_keyring(path).entries) == 1
    path.chmod(0o666)
    with pytest.raises(KeyringError, match="chmod o-w"):
        read_keyring(path)
