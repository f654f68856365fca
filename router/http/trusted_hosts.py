"""Check of the Host header, against DNS rebinding and poisoned links."""

import ipaddress
import socket
from collections.abc import Iterable

ANY_HOST = "*"


class TrustedHosts:
    """The names that a process serves: this machine's, the configured ones, and IP addresses.

    An address cannot be rebound, so probes and scrapers may use one. ``*`` trusts every name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        own_names = {"localhost", socket.gethostname()}
        self._names = {name.lower().rstrip(".") for name in (*own_names, *names) if name}
        self._trusts_any = ANY_HOST in self._names

    def is_trusted(self, host_header: str) -> bool:
        """Return True if ``host_header`` (``name`` or ``name:port``) is one of the names."""
        if self._trusts_any:
            return True
        name = _strip_port(host_header).lower().rstrip(".")
        return name in self._names or _is_address(name)


def _strip_port(host_header: str) -> str:
    if host_header.startswith("["):
        return host_header.partition("]")[0].removeprefix("[")
    name, colon, port = host_header.rpartition(":")
    return name if colon and port.isdigit() and ":" not in name else host_header


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
