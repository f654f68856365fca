"""An ephemeral Prometheus for one rehearsal, filled by remote write."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from sluice.rehearsal.errors import PrometheusFailedError
from sluice.stack.executables import INSTALL_PROMETHEUS, find_executable
from sluice.stack.port_allocator import LOOPBACK, PortAllocator

READY_SECONDS_MAX = 30.0
GARBAGE_PERCENT = "400"
"""Go's garbage collection starts at five times the live heap, which doubles the write rate."""
_HEAD = "876000h"  # one block for all times: it is never compacted and never too old


@contextmanager
def ephemeral_prometheus(tick_seconds: float, tsdb: Path | None = None) -> Iterator[str]:
    """Start a Prometheus in a temporary folder and yield its address; delete all after the block.

    ``tsdb`` is a TSDB to read instead of an empty one; it is linked, never changed.

    Raises:
        MissingProgramError: it is not installed; the message has the command that installs it.
        PrometheusFailedError: it does not start.
    """
    binary = find_executable("prometheus", INSTALL_PROMETHEUS)
    with tempfile.TemporaryDirectory(prefix="sluice-rehearsal-") as name:
        folder = Path(name)
        if tsdb is not None:
            _link_tree(tsdb, folder / "tsdb")
        port = PortAllocator(folder / "ports.json").allocate("prometheus", ("http",))["http"]
        config = f"global: {{scrape_interval: {tick_seconds:g}s, evaluation_interval: {tick_seconds:g}s}}\n"
        (folder / "prometheus.yml").write_text(config)
        with (folder / "log").open("wb") as log:
            argv = [binary, *_arguments(folder, port, fed=tsdb is None)]
            environment = {**os.environ, "GOGC": GARBAGE_PERCENT}
            process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)  # noqa: S603  our own arguments
        try:
            _wait_until_ready(process, port, folder / "log")
            yield f"http://{LOOPBACK}:{port}"
        finally:
            process.kill()  # its data is deleted too
            process.wait()


def _arguments(folder: Path, port: int, fed: bool) -> Sequence[str]:
    common = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--query.timeout=1m",
        "--log.level=warn",
    )
    if not fed:
        # No compaction: linked blocks are read unchanged.
        return (
            *common,
            "--storage.tsdb.min-block-duration=2h",
            "--storage.tsdb.max-block-duration=2h",
        )
    head = (
        f"--storage.tsdb.min-block-duration={_HEAD}",
        f"--storage.tsdb.max-block-duration={_HEAD}",
    )
    # Compressing the write-ahead log, which is deleted too, would cost a quarter of the write time.
    unpacked = "--no-storage.tsdb.wal-compression"
    return (*common, "--web.enable-remote-write-receiver", unpacked, *head)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(OSError, HTTPException):
            if _is_ready(port):
                return
        time.sleep(0.02)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise PrometheusFailedError(f"Prometheus did not start:\n{tail}")


def _is_ready(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == HTTPStatus.OK
    finally:
        connection.close()


def _link_tree(source: Path, target: Path) -> None:
    """Copy a TSDB by links, without its lock file; the original is never written."""
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.name != "lock":
            copy.parent.mkdir(parents=True, exist_ok=True)
            _link(path, copy, live="wal" in path.parts or "chunks_head" in path.parts)


def _link(path: Path, copy: Path, *, live: bool) -> None:
    """Link a block, which never changes; copy the write-ahead log, which grows.

    A hard link survives the original's deletion. On another file system the link is symbolic.
    """
    if live:
        shutil.copyfile(path, copy)
        return
    try:
        copy.hardlink_to(path)
    except OSError:
        copy.symlink_to(path.resolve())
