"""Start a detached process, recognise it later by more than its pid, end it and its children.

A pid alone is not an identity: the kernel gives it to another process later. A process is known by
its pid together with its start, measured from the boot of the machine, which no change of the
wall clock moves.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

START_TOLERANCE_SECONDS = 0.05  # the kernel counts in hundredths
CHILDREN_GRACE_SECONDS = 2.0
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid and when that process started, in seconds after boot."""

    pid: int
    start_seconds: float


def launch(argv: Sequence[str], env: Mapping[str, str], log: Path) -> ProcessId:
    """Start ``argv`` in a session of its own, its output appended to ``log``.

    It outlives us: no terminal, no signal of ours reaches it. Raises OSError when it can't start.
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
    """Raises psutil.NoSuchProcess when it has ended and was reaped."""
    boot = psutil.boot_time()
    created = process.create_time()
    # The boot time moves with the wall clock: it must not have moved between the two readings.
    if psutil.boot_time() != boot:
        return identify(psutil.Process(process.pid))  # the old one remembers its reading
    return ProcessId(process.pid, created - boot)


def find(identity: ProcessId) -> psutil.Process | None:
    """The live process of this identity; None when it has ended or its pid is someone else's now."""
    try:
        process = psutil.Process(identity.pid)
        if abs(identify(process).start_seconds - identity.start_seconds) > START_TOLERANCE_SECONDS:
            return None
    except psutil.NoSuchProcess:
        return None
    return process if _is_alive(process) else None


async def stop(identity: ProcessId, stop_signal: int, grace_seconds: float) -> bool:
    """End the process and all it started: politely, then by SIGKILL after the grace.

    False when it had already ended. Never touches another process that got the same pid.
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
    # Children of a server that ended politely follow by themselves; give them a moment.
    alive = _wait_until_ended(
        family | _process_tree(process), 0.0 if stubborn else CHILDREN_GRACE_SECONDS
    )
    for member in alive:
        _send_signal(member, signal.SIGKILL)
    _wait_until_ended(alive, grace_seconds)


def _wait_until_ended(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, for ``seconds`` at most; give those that still live.

    One that has ended but waits for its parent to take note (a zombie) has ended for us; psutil's
    own waiting doesn't see it so.
    """
    deadline = time.monotonic() + seconds
    while alive := [one for one in processes if _is_alive(one)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    return alive


def _process_tree(process: psutil.Process) -> set[psutil.Process]:
    """The process, its descendants and its process group (children whose parent has gone)."""
    try:
        descendants = {process, *process.children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()
    return descendants | {
        one for one in psutil.process_iter() if _process_group(one.pid) == process.pid
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
