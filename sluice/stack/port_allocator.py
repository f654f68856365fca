"""Free TCP ports on loopback, stored from one start to the next."""

import json
import random
import socket
from pathlib import Path

from sluice.stack.data_directory import read_json, write_atomically
from sluice.stack.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which the kernel takes ports for outgoing connections (32768 and up), so
# that a stored port is not lost to a passing connection while the stack is down.
LOWEST_PORT, HIGHEST_PORT = 20000, 29999
ATTEMPTS_MAX = 500


def is_free(port: int) -> bool:
    """Return True when a server could listen on ``port`` of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger in TIME_WAIT don't count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class PortAllocator:
    """Allocator of ports by service and purpose; one JSON file stores them for all commands."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def allocated_ports(self, service: str) -> dict[str, int]:
        """Return the stored ports of ``service``, free or not."""
        return self._read().get(service, {})

    def allocate(self, service: str, names: tuple[str, ...]) -> dict[str, int]:
        """Return a port for each of ``names``: the stored one while free, else a new one. Store all.

        Raises:
            StackError: every port of the range is in use.
        """
        book = self._read()
        old = book.get(service, {})
        used_ports = {port for of_service in book.values() for port in of_service.values()}
        ports: dict[str, int] = {}
        for name in names:
            port = old.get(name)
            ports[name] = (
                port if port is not None and is_free(port) else _pick_free_port(used_ports)
            )
            used_ports.add(ports[name])
        write_atomically(self._path, json.dumps({**book, service: ports}, indent=2))
        return ports

    def _read(self) -> dict[str, dict[str, int]]:
        return read_json(self._path)


def _pick_free_port(used_ports: set[int]) -> int:
    for _ in range(ATTEMPTS_MAX):
        port = random.randint(LOWEST_PORT, HIGHEST_PORT)  # noqa: S311  # not for secrecy
        if port not in used_ports and is_free(port):
            return port
    raise StackError(f"no free TCP port on {LOOPBACK} in {LOWEST_PORT}-{HIGHEST_PORT}")
