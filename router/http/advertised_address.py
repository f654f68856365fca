"""Under which address other processes reach this one."""

import socket

WILDCARD_HOSTS = ("0.0.0.0", "::", "")  # noqa: S104  compared with, not bound to


def advertised_url(address: str, host: str, port: int) -> str:
    """The URL that the worker asks: ``address`` (``host`` or ``host:port``) where it is set.

    A process that listens everywhere announces the machine's name: nobody reaches 0.0.0.0.
    """
    if not address and host in WILDCARD_HOSTS:
        address = socket.gethostname()
    name, colon, given = (address or _bracket_ipv6(host)).rpartition(":")
    if colon and given.isdigit() and not name.endswith(":"):
        return f"http://{name}:{given}"
    return f"http://{_bracket_ipv6(address or host)}:{port}"


def _bracket_ipv6(host: str) -> str:
    """An IPv6 address as it stands in a URL."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
