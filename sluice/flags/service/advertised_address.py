"""The address at which other processes reach this one."""

from __future__ import annotations

import socket

from sluice.flags.errors import InvalidFlagError

WILDCARD_HOSTS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to
PORT_MAX = 65_535


def advertised_url(address: str, host: str, port: int) -> str:
    """Return the URL that the worker requests: `address` (`host` or `host:port`) where it is set.

    A process that listens on every interface advertises the machine's name.
    """
    if not address and host in WILDCARD_HOSTS:
        address = socket.gethostname()
    name, colon, digits = (address or _bracket_ipv6(host)).rpartition(":")
    if colon and digits.isdigit() and not name.endswith(":"):
        return f"http://{name}:{digits}"
    return f"http://{_bracket_ipv6(address or host)}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port`; raise InvalidFlagError for any other text."""
    host, colon, digits = address.rpartition(":")
    if not colon or not digits.isdigit() or int(digits) > PORT_MAX:
        raise InvalidFlagError(f"address {address!r}: write it as host:port, such as 127.0.0.1:0")
    return host.strip("[]"), int(digits)


def _bracket_ipv6(host: str) -> str:
    """Return the host as a URL spells it."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
