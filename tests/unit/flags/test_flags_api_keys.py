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


def test_an_unreadable_change_keeps_the_keys(tmp_path: Path) -> None:
    key, path = generate_key(), tmp_path / "keys"
    path.write_text(format_key_line("web", ("evaluate",), key))
    keys = FlagApiKeys(path)
    path.write_text("web everything abc")
    with pytest.raises(InvalidFlagError, match="NAME SCOPES HASH"):
        keys.reload_if_changed()
    assert keys.scopes(key) == {"evaluate"}


@pytest.mark.parametrize("line", ["web", "web admin " + "0" * 64, "we/b evaluate " + "0" * 64])
def test_a_bad_file_is_refused_at_the_start(tmp_path: Path, line: str) -> None:
    path = tmp_path / "keys"
    path.write_text(line)
    with pytest.raises(InvalidFlagError, match="API key line"):
        FlagApiKeys(path)
    with pytest.raises(InvalidFlagError, match="not readable"):
        FlagApiKeys(tmp_path / "missing")
