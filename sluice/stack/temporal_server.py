"""Temporal's development server beside its read-only UI, which ends with it.

``python -m sluice.stack.temporal_server PORT UPSTREAM_PORT temporal server start-dev …`` forks the
UI's proxy and becomes the server, so that the stack supervises the server itself.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> None:
    port, upstream_port, *server = arguments
    parent = os.getpid()
    if os.fork():
        os.execv(server[0], server)  # noqa: S606  # the program that the stack names
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    from sluice.stack import temporal_ui  # noqa: PLC0415  # the server must not wait for it

    temporal_ui.serve(int(port), int(upstream_port))


if __name__ == "__main__":
    main(sys.argv[1:])
