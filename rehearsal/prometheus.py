"""A Prometheus of our own, for one rehearsal: fed by remote write, asked for ranges, thrown away."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np

from rehearsal.arrays import Floats
from rehearsal.errors import PrometheusFailedError
from rehearsal.remote_write import HEADERS, Key, write_request
from stack.errors import MissingProgramError
from stack.ports import LOOPBACK, PortBook
from stack.programs import program
from stack.services.prometheus import INSTALL

READY_SECONDS_MAX = 30.0
POINTS_MAX = 10_000
"""Prometheus refuses more than 11,000 points of a series in one answer."""
_HEAD = "876000h"  # one block for all times: nothing is compacted, nothing is too old


class Ranges:
    """Range queries and remote write on one server; every value comes from its PromQL engine."""

    def __init__(self, url: str, timeout_seconds: float = 60.0) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def write(self, seconds: Floats, series: Mapping[Key, Floats]) -> None:
        """Append samples; each series in ascending time.

        Raises:
            PrometheusFailedError: it refuses them or doesn't answer.
        """
        answer = self._send(
            "POST", "/api/v1/write", content=write_request(seconds, series), headers=HEADERS
        )
        if answer.is_error:
            raise PrometheusFailedError(f"Prometheus refuses samples: {answer.text.strip()}")

    def read(self, promql: str, times: Floats, step: float) -> Floats:
        """Values at ``times`` (epoch seconds, ``step`` apart); NaN is no data.

        Raises:
            PrometheusFailedError: the query is refused, or gives more than one series.
        """
        parts = [
            self._read(promql, times[start : start + POINTS_MAX], step)
            for start in range(0, len(times), POINTS_MAX)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _read(self, promql: str, times: Floats, step: float) -> Floats:
        data = {"query": promql, "start": f"{times[0]:.3f}", "end": f"{times[-1]:.3f}"}
        answer = self._send("POST", "/api/v1/query_range", data={**data, "step": f"{step:g}"})
        if answer.is_error:
            reason = answer.json().get("error", answer.text) if answer.text else answer.status_code
            raise PrometheusFailedError(f"Prometheus refuses {promql!r}: {reason}")
        series = answer.json()["data"]["result"]
        if len(series) > 1:
            raise PrometheusFailedError(f"{promql!r} gives {len(series)} series; aggregate to one")
        values = np.full(len(times), np.nan)
        for at, value in series[0]["values"] if series else ():
            index = round((at - times[0]) / step)
            values[index] = float(value)
        return np.where(np.isfinite(values), values, np.nan)

    def value(self, promql: str, at: float) -> float | None:
        """One value at one time; None is no data. Errors as in ``read``."""
        value = float(self.read(promql, np.array([at]), 1.0)[0])
        return None if np.isnan(value) else value

    def _send(self, method: str, path: str, **more: object) -> httpx.Response:
        try:
            return self._http.request(method, path, **more)  # type: ignore[arg-type]  # httpx's own
        except httpx.HTTPError as error:
            raise PrometheusFailedError(
                f"Prometheus at {self.url} can't be asked: {error or type(error).__name__}"
            ) from error


@contextmanager
def own_prometheus(tick_seconds: float, blocks: Path | None = None) -> Iterator[Ranges]:
    """Start a Prometheus in a folder of its own; it and its data are gone after the block.

    ``blocks``: a TSDB to read instead of an empty one; it is linked, never changed.

    Raises:
        MissingProgramError: it isn't installed; the message says how to get it.
        PrometheusFailedError: it doesn't start.
    """
    binary = program("prometheus", INSTALL)
    with tempfile.TemporaryDirectory(prefix="sluice-rehearsal-") as name:
        folder = Path(name)
        if blocks is not None:
            _link_tree(blocks, folder / "tsdb")
        port = PortBook(folder / "ports.json").take("prometheus", ("http",))["http"]
        config = f"global: {{scrape_interval: {tick_seconds:g}s, evaluation_interval: {tick_seconds:g}s}}\n"
        (folder / "prometheus.yml").write_text(config)
        with (folder / "log").open("wb") as log:
            argv = [binary, *_arguments(folder, port, fed=blocks is None)]
            process = subprocess.Popen(argv, stdout=log, stderr=log)  # noqa: S603  our own arguments
        ranges = Ranges(f"http://{LOOPBACK}:{port}")
        try:
            _await_ready(process, ranges, folder / "log")
            yield ranges
        finally:
            ranges.close()
            process.kill()  # its data goes too: nothing to save
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
        return common
    head = (
        f"--storage.tsdb.min-block-duration={_HEAD}",
        f"--storage.tsdb.max-block-duration={_HEAD}",
    )
    return (*common, "--web.enable-remote-write-receiver", *head)


def _await_ready(process: subprocess.Popen[bytes], ranges: Ranges, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(httpx.HTTPError):
            if httpx.get(f"{ranges.url}/-/ready", trust_env=False, timeout=2).is_success:
                return
        time.sleep(0.05)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise PrometheusFailedError(f"Prometheus did not start:\n{tail}")


def _link_tree(source: Path, target: Path) -> None:
    """Copy a TSDB by hard links where the file system allows it; its lock file stays behind."""
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.name != "lock":
            copy.parent.mkdir(parents=True, exist_ok=True)
            _link(path, copy, live="wal" in path.parts or "chunks_head" in path.parts)


def _link(path: Path, copy: Path, *, live: bool) -> None:
    """Blocks never change, so a link will do; the write-ahead log is appended to, so it is copied."""
    if not live:
        with suppress(OSError):
            copy.hardlink_to(path)
            return
    copy.write_bytes(path.read_bytes())


def epoch(at: datetime) -> float:
    """Seconds since the epoch; ``at`` has a time zone."""
    return at.timestamp()


__all__ = ["MissingProgramError", "Ranges", "epoch", "own_prometheus"]
