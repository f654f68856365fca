"""The token of an event stream opens nothing else, expires, and ends with its key."""

from __future__ import annotations

from pathlib import Path

from sluice.flags.server.api_keys import FlagApiKeys, format_key_line, generate_key
from sluice.flags.server.stream_tokens import ROTATION_SECONDS

NOW = 1_800_000_000.0


def keys_file(folder: Path, *lines: tuple[str, tuple[str, ...], str]) -> FlagApiKeys:
    path = folder / "keys"
    path.write_text("\n".join(format_key_line(*line) for line in lines))
    return FlagApiKeys(path)


def is_accepted(keys: FlagApiKeys, token: str, now: float) -> bool:
    return keys.stream_caller(token, "", now) is not None


def test_a_token_opens_the_stream_until_it_expires(tmp_path: Path) -> None:
    key = generate_key()
    keys = keys_file(tmp_path, ("web", ("evaluate",), key))
    token = keys.stream_token(key, NOW)
    assert is_accepted(keys, token, NOW + ROTATION_SECONDS - 1)
    assert not is_accepted(keys, token, NOW + 2 * ROTATION_SECONDS + 1)
    assert not keys.scopes(token)


def test_the_address_seldom_changes(tmp_path: Path) -> None:
    """It is part of each bulk answer's ETag: a new one makes every client fetch everything."""
    key = generate_key()
    keys = keys_file(tmp_path, ("web", ("evaluate",), key))
    start = NOW - NOW % ROTATION_SECONDS
    tokens = {keys.stream_token(key, start + minute * 60) for minute in range(719)}
    assert len(tokens) == 1


def test_another_server_with_the_same_keys_accepts_it(tmp_path: Path) -> None:
    key = generate_key()
    token = keys_file(tmp_path, ("web", ("evaluate",), key)).stream_token(key, NOW)
    assert is_accepted(FlagApiKeys(tmp_path / "keys"), token, NOW)


def test_a_removed_key_ends_its_tokens(tmp_path: Path) -> None:
    key, other = generate_key(), generate_key()
    keys = keys_file(tmp_path, ("web", ("evaluate",), key), ("app", ("evaluate",), other))
    token = keys.stream_token(key, NOW)
    keys = keys_file(tmp_path, ("app", ("evaluate",), other), ("web", ("outcomes",), key))
    assert not is_accepted(keys, token, NOW)
    assert is_accepted(keys, keys.stream_token(other, NOW), NOW)


def test_a_changed_token_is_refused(tmp_path: Path) -> None:
    key = generate_key()
    keys = keys_file(tmp_path, ("web", ("evaluate",), key))
    token = keys.stream_token(key, NOW)
    name, expiry, signature = token.split(".")
    changed = ["", "..", token[:-1], f"{token}0", f"é{token}", f"x.{'9' * 5000}.x"]
    changed += [f"{name}.9{expiry}.{signature}", f"{name}.٣.{signature}", f"{name}.{expiry}"]
    assert not [each for each in changed if is_accepted(keys, each, NOW)]


def test_without_keys_no_token_is_needed() -> None:
    keys = FlagApiKeys(None)
    assert keys.stream_token("", NOW) == ""
    assert is_accepted(keys, "", NOW)
