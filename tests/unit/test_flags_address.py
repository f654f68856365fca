"""One address names a server, or the master behind Sentinels; a slip in it is named."""

from __future__ import annotations

import pytest

from router.flags.address import connect, connect_blocking, sentinel_address


@pytest.mark.parametrize("url", ["redis://h:1/2", "rediss://u:p@h", "unix:///run/redis.sock"])
def test_addresses_of_servers_are_left_to_redis_py(url: str) -> None:
    assert sentinel_address(url) is None


def test_an_address_of_sentinels_says_whom_to_ask_for_whom() -> None:
    address = sentinel_address(
        "rediss+sentinel://sluice:p%40ss@one:26380,two/mymaster/3?sentinel_password=secret"
    )
    assert address is not None
    assert address.sentinels == (("one", 26380), ("two", 26379))
    assert address.service == "mymaster"
    assert address.master == {"db": 3, "username": "sluice", "password": "p@ss", "ssl": True}
    assert address.asking == {"password": "secret"}


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis+sentinel://one:26379", "service/0"),
        ("redis+sentinel:///mymaster", "service/0"),
        ("redis+sentinel://one/mymaster/x", "service/0"),
        ("redis+sentinel://one,:1/mymaster", "':1'"),
        ("redis+sentinel://one:port/mymaster", "port"),
        ("redis+sentinel://one/mymaster?timeout=3", "'timeout'"),
    ],
)
def test_a_wrong_address_is_named_with_the_right_form(url: str, named: str) -> None:
    for make in (connect, connect_blocking):
        with pytest.raises(ValueError, match=named):
            make(url)
