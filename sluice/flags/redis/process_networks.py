"""The networks in which processes run: no request goes to an address outside of them.

Everybody who can write to the registry chooses the addresses. So a name is resolved once, its address
is checked against an allow-list, and the request goes to that address (SSRF, CWE-918; no DNS
rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from functools import lru_cache

from sluice.flags.errors import InvalidFlagError

NETWORKS_VARIABLE = "SLUICE_PROCESS_NETWORKS"
DEFAULT_NETWORKS = (
    "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,::1/128,fc00::/7"
)
"""This machine and private networks (RFC 1918, 4193, 6598)."""
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(address)
    for address in ("100.100.100.200", "169.254.169.254", "fd00:ec2::254", "fd20:ce::254")
)
"""Metadata services of clouds, which hand out credentials: no process, in whatever network."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressRefusedError(Exception):
    """A host cannot be resolved, or is outside of the networks; the message says which."""


def read_networks(environment: Mapping[str, str]) -> tuple[Network, ...]:
    """Return the networks in which processes run. Raises InvalidFlagError."""
    return _parse_networks(environment.get(NETWORKS_VARIABLE) or DEFAULT_NETWORKS)


@lru_cache(maxsize=8)
def _parse_networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(network) for network in text.replace(",", " ").split())
    except ValueError as error:
        raise InvalidFlagError(
            f"{NETWORKS_VARIABLE}={text!r}: {error}; write networks such as 10.0.0.0/8,fd00::/8"
        ) from None


async def resolve_address(host: str, port: int, networks: Sequence[Network]) -> str:
    """Return the first address of `host` inside the networks. Raises AddressRefusedError."""
    addresses = [host] if _is_address(host) else await _addresses_of(host, port)
    allowed = next((address for address in addresses if _is_inside(address, networks)), None)
    if allowed is None:
        raise AddressRefusedError(
            f"{host!r} is {', '.join(addresses)}, outside of the networks of processes; "
            f"add its network to {NETWORKS_VARIABLE}"
        )
    return allowed


async def _addresses_of(name: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        address_infos = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefusedError(f"{name!r} cannot be resolved: {error}") from error
    return [str(sockaddr[0]) for *_, sockaddr in address_infos]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_inside(text: str, networks: Sequence[Network]) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address in METADATA_ADDRESSES:
        return False
    return any(address in network for network in networks)
