"""The keyring reads OpenSSH's allowed_signers, and no line is skipped in silence."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice.identity import KeyringError, Role, parse_keyring
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
