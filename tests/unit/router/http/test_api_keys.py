"""API keys: hashed, scoped, told apart; a bad file is named by its line."""

from pathlib import Path

import pytest

from router.errors import Forbidden, RouterSettingsError, Unauthorised
from router.http.api_keys import ANONYMOUS, ApiKeys, format_key_line, generate_key


def keys(tmp_path: Path, *lines: str) -> ApiKeys:
    path = tmp_path / "keys"
    path.write_text("\n".join(lines))
    return ApiKeys(path)


def test_a_key_admits_its_tenant_to_its_scopes(tmp_path: Path) -> None:
    key = generate_key()
    ours = keys(tmp_path, "# comment", "", format_key_line("acme", ("query",), key) + "  # Anna's")
    assert ours.authorize(f"Bearer {key}", "query").tenant == "acme"
    assert ours.authorize(f"bearer {key}", "query").tenant == "acme"
    with pytest.raises(Forbidden, match="no scope 'feedback'"):
        ours.authorize(f"Bearer {key}", "feedback")


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer ", "Bearer slk_x", "Basic abc"])
def test_anything_else_is_refused(tmp_path: Path, sent: str | None) -> None:
    with pytest.raises(Unauthorised):
        keys(tmp_path, format_key_line("acme", ("query",), generate_key())).authorize(sent, "query")


def test_the_file_holds_no_key_and_its_hash_opens_nothing(tmp_path: Path) -> None:
    key = generate_key()
    line = format_key_line("acme", ("query",), key)
    assert key not in line
    with pytest.raises(Unauthorised):
        keys(tmp_path, line).authorize(f"Bearer {line.split()[-1]}", "query")


def test_keys_are_never_the_same() -> None:
    assert len({generate_key() for _ in range(100)}) == 100


def test_an_empty_file_admits_nobody(tmp_path: Path) -> None:
    with pytest.raises(Unauthorised):
        keys(tmp_path, "").authorize("Bearer x", "query")


def test_without_a_file_anybody_may_ask() -> None:
    assert ApiKeys(None).authorize(None, "query") == ANONYMOUS


@pytest.mark.parametrize(
    "line", ["acme query abc", "acme admin " + "a" * 64, "a/b query " + "a" * 64, "nonsense"]
)
def test_a_bad_line_stops_the_start_and_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(RouterSettingsError, match=r"keys:2: a key is TENANT SCOPES HASH"):
        keys(tmp_path, "# first", line)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(RouterSettingsError, match="SLUICE_API_KEYS"):
        ApiKeys(tmp_path / "none")


def test_a_withdrawn_key_is_refused_and_a_spoilt_file_changes_nothing(tmp_path: Path) -> None:
    key, other = generate_key(), generate_key()
    ours = keys(tmp_path, format_key_line("acme", ("query",), key))
    (tmp_path / "keys").write_text("spoilt")
    ours.reload_if_changed()
    assert ours.authorize(f"Bearer {key}", "query")
    (tmp_path / "keys").write_text(format_key_line("globex", ("query",), other) + "\n")
    ours.reload_if_changed()
    with pytest.raises(Unauthorised):
        ours.authorize(f"Bearer {key}", "query")
    assert ours.authorize(f"Bearer {other}", "query").tenant == "globex"
