"""Time of the read-back of a rollback from many processes, a part of which hangs.

The processes are HTTP servers in another process: each has a port of its own and answers `GET
/flags` at 0 %, or accepts the request and never answers. The headline comes last.

    uv run python -m benchmarks.read_back [--processes 300] [--hanging 0.1] [--rounds 3]
"""

import argparse
import asyncio
import json
import multiprocessing as mp
import sys
import time
from multiprocessing.connection import Connection

from sluice.flags import FlagState
from sluice.flags.redis.process_polling import ReadBack
from sluice.flags.redis.process_registry import ServiceProcess

SECONDS_BAR = 1.5
FLAG = "flag"


def run_servers(count: int, hanging: int, ports: Connection) -> None:
    """Serve every process's `/flags`; the first ``hanging`` never answer."""
    asyncio.run(_serve(count, hanging, ports))


async def _serve(count: int, hanging: int, ports: Connection) -> None:
    servers = [await _start_process(number, number < hanging) for number in range(count)]
    ports.send([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.Event().wait()


async def _start_process(number: int, hangs: bool) -> asyncio.Server:
    flags = {FLAG: {"rollout_percentage": 0.0}}
    document = {"process_id": f"p{number}", "version": 5, "lease_age_seconds": 0.1,
                "stale": False, "phases": {}, "flags": flags}  # fmt: skip
    body = json.dumps(document).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if hangs:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", 0)


async def read_back(processes: list[ServiceProcess]) -> tuple[float, int, int]:
    """Return the seconds, and the processes confirmed by answer and by lease."""
    began, one = time.monotonic(), ReadBack()
    while not await one.poll(processes, FlagState(name=FLAG)):  # noqa: ASYNC110  a poll each
        await asyncio.sleep(0.05)
    return time.monotonic() - began, len(one.by_answer), len(one.by_lease)


def main() -> int:
    """Print each round; exit 1 for a wrong count, 2 if only the time missed its bar."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--processes", type=int, default=300)
    parser.add_argument("--hanging", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    hanging = round(arguments.processes * arguments.hanging)
    ours, theirs = mp.Pipe()
    servers = mp.Process(target=run_servers, args=(arguments.processes, hanging, theirs))
    servers.start()
    try:
        processes = [
            ServiceProcess(f"p{number}", f"http://127.0.0.1:{port}", 1)
            for number, port in enumerate(ours.recv())
        ]
        rounds = [asyncio.run(read_back(processes)) for _ in range(arguments.rounds)]
    finally:
        servers.terminate()
    for seconds, by_answer, by_lease in rounds:
        print(f"{seconds:.2f} s: {by_answer} by answer, {by_lease} by lease")
    slowest = max(seconds for seconds, _, _ in rounds)
    print(f"read-back from {len(processes)} processes, {hanging} hanging: {slowest:.2f} s at most")
    if {one[1:] for one in rounds} != {(len(processes) - hanging, hanging)}:
        return 1
    return 2 if slowest > SECONDS_BAR else 0


if __name__ == "__main__":
    sys.exit(main())
