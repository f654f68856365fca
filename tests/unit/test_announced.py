"""A router announces an address at which it can be reached."""

import socket

import pytest

from router.announced import EVERYWHERE, announced_url
from router.errors import SettingsError
from router.settings import Settings


@pytest.mark.parametrize(
    ("address", "host", "url"),
    [
        ("", "127.0.0.1", "http://127.0.0.1:8100"),
        ("", "::1", "http://[::1]:8100"),
        ("10.0.0.7", EVERYWHERE[0], "http://10.0.0.7:8100"),
        ("router-1:80", EVERYWHERE[0], "http://router-1:80"),
        ("fd00::7", "::", "http://[fd00::7]:8100"),
        ("[fd00::7]:80", "::", "http://[fd00::7]:80"),
    ],
)
def test_the_setting_goes_before_the_address_listened_on(address: str, host: str, url: str) -> None:
    assert announced_url(address, host, 8100) == url


@pytest.mark.parametrize("host", EVERYWHERE[:2])
def test_who_listens_everywhere_announces_the_machines_name(host: str) -> None:
    """Asked at 0.0.0.0, a worker would ask itself."""
    assert announced_url("", host, 8100) == f"http://{socket.gethostname()}:8100"


def test_a_url_is_refused_by_the_variables_name() -> None:
    with pytest.raises(SettingsError, match="SLUICE_ANNOUNCED_ADDRESS"):
        Settings.from_environment({"SLUICE_ANNOUNCED_ADDRESS": "http://router:80/x"})
