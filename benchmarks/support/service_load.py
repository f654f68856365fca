"""An open-loop load on ``POST /query``: requests leave when they are due, answered or not.

Latencies count from when a request was due, so a router that falls behind can't hide it (no
coordinated omission). The client is a bare HTTP/1.1 speaker: on two cores a comfortable one would
take the time it is meant to measure.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

CONNECTIONS_MAX = 512
ANSWER_SECONDS = 10.0


@dataclass
class LoadResult:
    """The result of a load: milliseconds of good answers, statuses of all (0: without answer)."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    cached: int = 0
    degraded: int = 0
    seconds: float = 0.0
    sent_late_ms: float = 0.0

    def add(self, other: "LoadResult") -> None:
        """Add another load of the same kind."""
        self.latencies_ms += other.latencies_ms
        self.statuses += other.statuses
        self.cached += other.cached
        self.degraded += other.degraded
        self.seconds += other.seconds
        self.sent_late_ms = max(self.sent_late_ms, other.sent_late_ms)

    def quantile(self, share: float) -> float:
        """Milliseconds; infinite when nothing was answered."""
        ordered = sorted(self.latencies_ms)
        return (
            ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")
        )

    @property
    def errors(self) -> int:
        """Everything but answers and refusals with Retry-After."""
        return sum(n for status, n in self.statuses.items() if status not in (200, 429))

    def summary(self) -> dict[str, float]:
        answered = len(self.latencies_ms)
        return {
            "answered": answered,
            "per_second": round(answered / self.seconds, 1) if self.seconds else 0.0,
            "refused": self.statuses[429],
            "errors": self.errors,
            "degraded": self.degraded,
            "cached_share": round(self.cached / answered, 3) if answered else 0.0,
            "p50_ms": round(self.quantile(0.5), 2),
            "p90_ms": round(self.quantile(0.9), 2),
            "p99_ms": round(self.quantile(0.99), 2),
            "client_late_ms_max": round(self.sent_late_ms, 1),
        }


class Target:
    """One router process and the open connections to it, the last used first.

    ``key`` is the API key that every request carries, if the process requires one.
    """

    def __init__(self, host: str, port: int, key: str = "") -> None:
        self._host, self._port = host, port
        self._authorization = f"authorization: Bearer {key}\r\n" if key else ""
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body; OSError or EOFError when the connection breaks."""
        reader, writer = await self._connection()
        head = f"POST /query HTTP/1.1\r\nhost: localhost\r\n{self._authorization}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        reply = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, length = int(reply[9:12]), int(reply.split("content-length:")[1].split("\r\n")[0])
        answer = await reader.readexactly(length)
        self._idle.append((reader, writer))
        return status, answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()  # the server's keep-alive ended, as it may: no error of an answer
        return await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def send_load(
    targets: Sequence[Target],
    next_body: Callable[[], bytes],
    rate: float,
    seconds: float,
    seed: int = 7,
) -> LoadResult:
    """Send ``rate`` requests a second (Poisson) for ``seconds``, targets in turn.

    Loads of the same ``seed`` arrive at the same moments.
    """
    seen, tasks = LoadResult(), set[asyncio.Task[None]]()
    rng = random.Random(seed)  # noqa: S311 - arrivals, not secrets
    began = due = time.perf_counter()
    number = 0
    while due < began + seconds:
        due += rng.expovariate(rate)
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        else:
            seen.sent_late_ms = max(seen.sent_late_ms, -wait * 1000)
            await asyncio.sleep(0)
        number += 1
        if len(tasks) >= CONNECTIONS_MAX:
            seen.statuses[0] += 1
            continue
        task = asyncio.create_task(
            _send_request(targets[number % len(targets)], next_body(), due, seen)
        )
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    seen.seconds = time.perf_counter() - began
    await asyncio.gather(*tasks)
    return seen


async def _send_request(target: Target, body: bytes, due: float, seen: LoadResult) -> None:
    status, answer = 0, b""
    with suppress(OSError, EOFError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(ANSWER_SECONDS):
            status, answer = await target.post(body)
    seen.statuses[status] += 1
    if status == 200:  # noqa: PLR2004
        seen.latencies_ms.append((time.perf_counter() - due) * 1000)
        document = json.loads(answer)
        seen.cached += document["cached"]
        seen.degraded += document["degraded"]
