"""A router announces an address at which it can be reached."""

import socket

import pytest

from router.errors import RouterSettingsError
from router.settings import Settings
from sluice.flags.service.advertised_address import WILDCARD_HOSTS, advertised_url


@pytest.mark.parametrize(
    ("address", "host", "url"),
    [
        ("", "127.0.0.1", "http://127.0.0.1:8100"),
        ("", "::1", "http://[::1]:8100"),
        ("10.0.0.7", WILDCARD_HOSTS[0], "http://10.0.0.7:8100"),
        ("router-1:80", WILDCARD_HOSTS[0], "http://router-1:80"),
        ("fd00::7", "::", "http://[fd00::7]:8100"),
        ("[fd00::7]:80", "::", "http://[fd00::7]:80"),
    ],
)
def test_the_setting_goes_before_the_address_listened_on(address: str, host: str, url: str) -> None:
    assert advertised_url(address, host, 8100) == url


@pytest.mark.parametrize("host", WILDCARD_HOSTS[:2])
def test_a_wildcard_host_advertises_the_machine_name(host: str) -> None:
    """Asked at 0.0.0.0, a worker would ask itself."""
    assert advertised_url("", host, 8100) == f"http://{socket.gethostname()}:8100"


def test_a_url_is_refused_by_the_variables_name() -> None:
    with pytest.raises(RouterSettingsError, match="SLUICE_ADVERTISED_ADDRESS"):
        Settings.from_environment({"SLUICE_ADVERTISED_ADDRESS": "http://router:80/x"})
