"""Detached processes: start one, find it again by pid and start time, stop it and its children.

A pid alone is not an identity, because the kernel reuses it. The start time counts from the boot of
the machine, so that a change of the wall clock does not move it.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from sluice.stack.process_id import ProcessId

START_TOLERANCE_SECONDS = 0.05  # the kernel counts in hundredths
CHILDREN_GRACE_SECONDS = 2.0
POLL_SECONDS = 0.02


def launch(argv: Sequence[str], env: Mapping[str, str], log: Path) -> ProcessId:
    """Start ``argv`` in a session of its own, its output appended to ``log``.

    It outlives this process and its terminal.

    Raises:
        OSError: it cannot be started.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        dict(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
    )
    return identify(psutil.Process(pid))


def identify(process: psutil.Process) -> ProcessId:
    """Return the identity of a process.

    Raises:
        psutil.NoSuchProcess: it has ended and was reaped.
    """
    boot = psutil.boot_time()
    created = process.create_time()
    # The boot time moves with the wall clock: it must not have moved between the two readings.
    if psutil.boot_time() != boot:
        return identify(psutil.Process(process.pid))  # the old object caches its reading
    return ProcessId(process.pid, created - boot)


def find(identity: ProcessId) -> psutil.Process | None:
    """Return the live process of this identity; None when it ended, even if its pid was reused."""
    try:
        process = psutil.Process(identity.pid)
        if abs(identify(process).start_seconds - identity.start_seconds) > START_TOLERANCE_SECONDS:
            return None
    except psutil.NoSuchProcess:
        return None
    return process if _is_alive(process) else None


async def stop(identity: ProcessId, stop_signal: int, grace_seconds: float) -> bool:
    """Stop the process and its children by ``stop_signal``, after the grace time by SIGKILL.

    Return False when it had already ended. Another process with a reused pid is never signalled.
    """
    process = find(identity)
    if process is None:
        return False
    await asyncio.to_thread(_stop, process, stop_signal, grace_seconds)
    return True


def _stop(process: psutil.Process, stop_signal: int, grace_seconds: float) -> None:
    family = _process_tree(process)
    _send_signal(process, stop_signal)
    stubborn = _wait_until_ended([process], grace_seconds)
    # The children of a stopped server usually end too; give them a moment.
    alive = _wait_until_ended(
        family | _process_tree(process), 0.0 if stubborn else CHILDREN_GRACE_SECONDS
    )
    for member in alive:
        _send_signal(member, signal.SIGKILL)
    _wait_until_ended(alive, grace_seconds)


def _wait_until_ended(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, for ``seconds`` at most; return those still alive.

    A zombie counts as ended, which differs from psutil's own wait.
    """
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if _is_alive(process)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    return alive


def _process_tree(process: psutil.Process) -> set[psutil.Process]:
    """Return the process, its descendants and its process group (children of ended parents)."""
    try:
        descendants = {process, *process.children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()
    return descendants | {
        member for member in psutil.process_iter() if _process_group(member.pid) == process.pid
    }


def _process_group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _send_signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)  # psutil itself refuses a recycled pid
    except psutil.NoSuchProcess:
        return


def _is_alive(process: psutil.Process) -> bool:
    try:
        if not process.is_running():
            return False
        if process.status() != psutil.STATUS_ZOMBIE:
            return True
    except psutil.NoSuchProcess:
        return False
    _reap(process.pid)
    return False


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # another process started it and will reap it
