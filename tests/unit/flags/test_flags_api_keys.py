"""Keys of the flags server: a bad file is refused at the start, and never opens anything later."""

from pathlib import Path

import pytest

from sluice.flags import InvalidFlagError
from sluice.flags.server.api_keys import FlagApiKeys, format_key_line, generate_key


def test_a_new_line_counts_without_a_restart(tmp_path: Path) -> None:
    first, second, path = generate_key(), generate_key(), tmp_path / "keys"
    path.write_text(f"# comment\n{format_key_line('web', ('evaluate',), first)}\n")
    keys = FlagApiKeys(path)
    assert keys.scopes(first) == {"evaluate"}
    assert not keys.scopes(second)
    path.write_text(format_key_line("backend", ("evaluate", "outcomes"), second))
    keys.reload_if_changed()
    assert not keys.scopes(first)
    assert keys.scopes(second) == {"evaluate", "outcomes"}


def test_a_typo_in_the_edit_that_removes_a_key_does_not_keep_the_key(tmp_path: Path) -> None:
    removed, kept, path = generate_key(), generate_key(), tmp_path / "keys"
    kept_line = format_key_line("web", ("evaluate",), kept)
    removed_line = format_key_line("old", ("evaluate",), removed)
    path.write_text(f"{kept_line}\n{removed_line}")
    keys = FlagApiKeys(path)
    path.write_text(
        f"web everything abc\n{kept_line}\n# a form feed ends no comment\f{removed_line}"
    )
    with pytest.raises(InvalidFlagError, match=r"line 1: .*NAME SCOPES HASH"):
        keys.reload_if_changed()
    assert not keys.scopes(removed)
    assert keys.scopes(kept) == {"evaluate"}


def test_a_file_that_everybody_may_write_or_that_is_gone_opens_nothing(tmp_path: Path) -> None:
    key, path = generate_key(), tmp_path / "keys"
    path.write_text(format_key_line("web", ("evaluate",), key))
    keys = FlagApiKeys(path)
    path.chmod(0o666)
    for message in ("chmod o-w", "No such file"):
        with pytest.raises(InvalidFlagError, match=message):
            keys.reload_if_changed()
        assert not keys.scopes(key)
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("line", ["web", "web admin " + "0" * 64, "we/b evaluate " + "0" * 64])
def test_a_bad_file_is_refused_at_the_start(tmp_path: Path, line: str) -> None:
    path = tmp_path / "keys"
    path.write_text(line)
    with pytest.raises(InvalidFlagError, match="API key line"):
        FlagApiKeys(path)
    with pytest.raises(InvalidFlagError, match="not readable"):
        FlagApiKeys(tmp_path / "missing")
