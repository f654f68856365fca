"""API keys are hashed, scoped and expire; a bad line grants nothing and is named."""

from datetime import date
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


def test_a_typo_in_the_edit_that_removes_a_key_does_not_keep_the_key(tmp_path: Path) -> None:
    removed, kept = generate_key(), generate_key()
    kept_line = format_key_line("acme", ("query",), kept)
    ours = keys(tmp_path, format_key_line("acme", ("query",), removed), kept_line)
    (tmp_path / "keys").write_text(f"a typo\n{kept_line}\n")
    ours.reload_if_changed()
    with pytest.raises(Unauthorised):
        ours.authorize(f"Bearer {removed}", "query")
    assert ours.authorize(f"Bearer {kept}", "query").tenant == "acme"


def test_a_comment_hides_no_key(tmp_path: Path) -> None:
    """An editor shows a form feed inside of a comment: what follows begins no line."""
    key = generate_key()
    ours = keys(tmp_path, f"# old\f{format_key_line('acme', ('query',), key)}")
    with pytest.raises(Unauthorised):
        ours.authorize(f"Bearer {key}", "query")


def test_a_file_that_everyone_may_write_or_that_is_gone_grants_nothing(tmp_path: Path) -> None:
    key = generate_key()
    line = format_key_line("acme", ("query",), key)
    ours = keys(tmp_path, line)
    path = tmp_path / "keys"
    for is_removed in (False, True):
        path.chmod(0o666)
        if is_removed:
            path.unlink()
        ours.reload_if_changed()
        with pytest.raises(Unauthorised):
            ours.authorize(f"Bearer {key}", "query")
        path.write_text(line)
        path.chmod(0o600)
        ours.reload_if_changed()
        assert ours.authorize(f"Bearer {key}", "query")
    path.chmod(0o666)
    with pytest.raises(RouterSettingsError, match="writable by everyone: run chmod o-w"):
        ApiKeys(path)


def test_a_key_has_an_id_and_ends_after_its_last_day(tmp_path: Path) -> None:
    old, new = generate_key(), generate_key()
    ours = keys(
        tmp_path,
        format_key_line("acme", ("query",), old, date(2020, 1, 1)) + " id=ci",
        format_key_line("acme", ("query",), new, date(2999, 12, 31)),
    )
    with pytest.raises(Unauthorised, match="API key 'ci' has expired"):
        ours.authorize(f"Bearer {old}", "query")
    principal = ours.authorize(f"Bearer {new}", "query")
    assert len(principal.key_id) == 8
    assert principal.key_id not in new


def test_all_bad_lines_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(RouterSettingsError, match=r"keys:1: .*keys:3: .*expires='soon'"):
        keys(tmp_path, "nonsense", "", f"acme query {'a' * 64} expires=soon")
