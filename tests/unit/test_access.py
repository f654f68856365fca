"""API keys: hashed, scoped, told apart; a bad file is named by its line."""

from pathlib import Path

import pytest

from router.access import ANYBODY, Keys, line_of, new_key
from router.errors import Forbidden, SettingsError, Unauthorised


def keys(tmp_path: Path, *lines: str) -> Keys:
    path = tmp_path / "keys"
    path.write_text("\n".join(lines))
    return Keys(path)


def test_a_key_admits_its_tenant_to_its_scopes(tmp_path: Path) -> None:
    key = new_key()
    ours = keys(tmp_path, "# comment", "", line_of("acme", ("query",), key) + "  # Anna's")
    assert ours.admit(f"Bearer {key}", "query").tenant == "acme"
    assert ours.admit(f"bearer {key}", "query").tenant == "acme"
    with pytest.raises(Forbidden, match="no scope 'feedback'"):
        ours.admit(f"Bearer {key}", "feedback")


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer ", "Bearer slk_x", "Basic abc"])
def test_anything_else_is_refused(tmp_path: Path, sent: str | None) -> None:
    with pytest.raises(Unauthorised):
        keys(tmp_path, line_of("acme", ("query",), new_key())).admit(sent, "query")


def test_the_file_holds_no_key_and_its_hash_opens_nothing(tmp_path: Path) -> None:
    key = new_key()
    line = line_of("acme", ("query",), key)
    assert key not in line
    with pytest.raises(Unauthorised):
        keys(tmp_path, line).admit(f"Bearer {line.split()[-1]}", "query")


def test_keys_are_never_the_same() -> None:
    assert len({new_key() for _ in range(100)}) == 100


def test_an_empty_file_admits_nobody(tmp_path: Path) -> None:
    with pytest.raises(Unauthorised):
        keys(tmp_path, "").admit("Bearer x", "query")


def test_without_a_file_anybody_may_ask() -> None:
    assert Keys(None).admit(None, "query") == ANYBODY


@pytest.mark.parametrize(
    "line", ["acme query abc", "acme admin " + "a" * 64, "a/b query " + "a" * 64, "nonsense"]
)
def test_a_bad_line_stops_the_start_and_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=r"keys:2: a key is TENANT SCOPES HASH"):
        keys(tmp_path, "# first", line)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SLUICE_API_KEYS"):
        Keys(tmp_path / "none")


def test_a_withdrawn_key_is_refused_and_a_spoilt_file_changes_nothing(tmp_path: Path) -> None:
    key, other = new_key(), new_key()
    ours = keys(tmp_path, line_of("acme", ("query",), key))
    (tmp_path / "keys").write_text("spoilt")
    ours.refresh()
    assert ours.admit(f"Bearer {key}", "query")
    (tmp_path / "keys").write_text(line_of("globex", ("query",), other) + "\n")
    ours.refresh()
    with pytest.raises(Unauthorised):
        ours.admit(f"Bearer {key}", "query")
    assert ours.admit(f"Bearer {other}", "query").tenant == "globex"
