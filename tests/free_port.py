"""A port for a program that must be told one."""

import socket


def free_port() -> int:
    """A loopback port that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
