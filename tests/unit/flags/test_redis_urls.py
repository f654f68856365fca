"""One address names a server, or the master behind Sentinels; a slip in it is named."""

from __future__ import annotations

import pytest

from sluice.flags.redis.urls import connect, connect_blocking, parse_sentinel_url


@pytest.mark.parametrize("url", ["redis://h:1/2", "rediss://u:p@h", "unix:///run/redis.sock"])
def test_addresses_of_servers_are_left_to_redis_py(url: str) -> None:
    assert parse_sentinel_url(url) is None


def test_a_sentinel_address_names_the_sentinels_and_the_master() -> None:
    address = parse_sentinel_url(
        "rediss+sentinel://sluice:p%40ss@one:26380,two/mymaster/3?sentinel_password=secret"
    )
    assert address is not None
    assert address.sentinels == (("one", 26380), ("two", 26379))
    assert address.service == "mymaster"
    assert address.master_options == {
        "db": 3,
        "username": "sluice",
        "password": "p@ss",
        "ssl": True,
    }
    assert address.sentinel_options == {"password": "secret"}


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
    for connect_function in (connect, connect_blocking):
        with pytest.raises(ValueError, match=named):
            connect_function(url)
