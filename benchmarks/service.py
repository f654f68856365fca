"""Two router processes over real HTTP on embedded stores, no LLM: latency, ceiling, cost.

The demo's freight company (1,600 records) in Redis, Postgres, the graph and Qdrant's engine;
stores, routers and load share this machine. Three loads: the demo's users (some questions are
asked often, so the cache answers many), questions never asked before (the cache answers none), and
rising rates until the 99th percentile passes a second or an answer fails. The processor time of the
routers and of the graph for each new question is printed as a multiple of one embedding's, and the
highest rate as a share of what the embedding alone reaches. The processor time is that of the highest
rate without refusals. The embedding is measured in the same run, before and after the loads.

    uv run python -m benchmarks.service [--seconds 20] [--rate 100] [--quick] [--new-only] [--json FILE]
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop

from benchmarks.support.service_load import LoadResult, Target, send_load
from router.embedding import LocalEmbedder
from sluice.demo.question_catalog import ZipfSampler, generate_questions
from sluice.demo.seed import seed
from sluice.stack import Stack
from sluice.stack.owner_watchdog import watch_owner

SERVICES = ("redis", "postgres", "graph", "qdrant")
PORTS = (18431, 18432)
RATES = (25, 50, 75, 100, 125, 150, 200, 300, 400, 500, 650, 800, 1000)
NEW_RATES = (10, 20, 30, 40, 50, 60, 70, 80, 95, 110, 130, 150, 175, 200)
P99_CEILING_MS = 1000.0
REFUSED_SHARE_MAX = 0.01
P50_MAX_MS, P99_MAX_MS = 20.0, 100.0
ROUTER_RATIO_MAX = 2.0
ROOT = Path(__file__).parents[1]
NextBody = Callable[[], bytes]


def popular_questions() -> NextBody:
    """Return the demo's load: Zipf over 346 questions."""
    popularity, rng = ZipfSampler(generate_questions(7)), random.Random(1)  # noqa: S311 - a load, no secret
    return lambda: _body(popularity.draw(rng).text, rng.randrange(300))


def new_questions() -> NextBody:
    """Every question is new: no cache can answer it."""
    questions, numbers = generate_questions(7), itertools.count()
    rng = random.Random(2)  # noqa: S311 - a load, no secret

    def ask() -> bytes:
        number = next(numbers)
        return _body(f"{rng.choice(questions).text} (case {number})", number % 300)

    return ask


def _body(text: str, user: int) -> bytes:
    return json.dumps({"query": text, "user_id": f"user-{user}"}).encode()


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start everything, run the loads, stop everything."""
    stack = Stack(folder, os.environ)
    try:
        await stack.up(SERVICES)
        environment = {**os.environ, **stack.environment(), "SLUICE_LOG_LEVEL": "warning"}
        await seed(environment)
        await _start_routers(stack)
        before = await asyncio.to_thread(measure_embedding)
        result = await _run_loads(options, [Target("127.0.0.1", port) for port in PORTS], stack)
        after = await asyncio.to_thread(measure_embedding)
        return {**result, "embedding": {name: (before[name] + after[name]) / 2 for name in before}}
    finally:
        await stack.down()


async def _start_routers(stack: Stack) -> None:
    for port in PORTS:
        argv = (sys.executable, "-m", "router.main", "--port", str(port))
        health = f"http://127.0.0.1:{port}/readyz"
        await stack.spawn(
            f"router-{port}", argv, env={"SLUICE_LOG_LEVEL": "warning"}, health_url=health
        )


def measure_embedding(seconds: float = 3.0) -> dict[str, float]:
    """Embed new questions on every core: processor milliseconds for each, and their rate."""
    embedder, ask = LocalEmbedder(cache_size=0), new_questions()
    cores = len(os.sched_getaffinity(0))
    until = time.monotonic() + seconds

    def work(_: int) -> int:
        count = 0
        while time.monotonic() < until:
            embedder.embed([json.loads(ask())["query"]])
            count += 1
        return count

    started = time.process_time()
    with ThreadPoolExecutor(cores) as pool:
        total = sum(pool.map(work, range(cores)))
    spent = time.process_time() - started
    return {"cpu_ms": spent / total * 1000, "per_second": total / seconds}


@dataclass(frozen=True, slots=True)
class Load:
    """Questions of one kind to the routers, with the processor time of each part for an answer."""

    ask: NextBody
    targets: Sequence[Target]
    stack: Stack

    async def send(self, rate: float, seconds: float) -> tuple[LoadResult, dict[str, float]]:
        """Send the load; return its result and the processor milliseconds by part."""
        before = await self._cpu_seconds()
        seen = await send_load(self.targets, self.ask, rate, seconds)
        after = await self._cpu_seconds()
        answered = max(1, len(seen.latencies_ms))
        return seen, {part: (after[part] - before[part]) * 1000 / answered for part in after}

    async def _cpu_seconds(self) -> dict[str, float]:
        """Return the processor time so far of the routers together, and of each store."""
        spent: dict[str, float] = {}
        for service in await self.stack.status():
            if service.pid is None:
                continue
            times = psutil.Process(service.pid).cpu_times()
            part = "router" if service.name.startswith("router-") else service.name
            spent[part] = spent.get(part, 0.0) + times.user + times.system
        return spent


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The highest rate that was answered in time, and the processor time of an answer then."""

    rate: float = 0.0
    cpu_ms: Mapping[str, float] = field(default_factory=dict)


async def _run_loads(
    options: argparse.Namespace, targets: Sequence[Target], stack: Stack
) -> dict[str, Any]:
    new = Load(new_questions(), targets, stack)
    loads = {"strangers": new}
    if not options.new_only:
        loads = {"users": Load(popular_questions(), targets, stack), **loads}
    await next(iter(loads.values())).send(options.rate, options.seconds)  # warm
    result: dict[str, Any] = {"rate": options.rate, "seconds": options.seconds}
    for name, load in loads.items():
        before = await _phase_totals()
        seen, cpu_ms = await load.send(options.rate, options.seconds)
        phases = _phase_means(before, await _phase_totals())
        result[name] = {**seen.summary(), "phases": phases, "cpu_ms": cpu_ms}
        print(f"{name:<10} {options.rate:>5.0f}/s  {_summary_line(seen)}", file=sys.stderr)
    for name, load in loads.items():
        rates = NEW_RATES if load is new else RATES[:8] if options.quick else RATES
        ceiling = await _find_ceiling(name, load, rates, options.seconds / 2)
        result[f"{name}_highest"] = ceiling.rate
        result[name]["cpu_ms_at_highest"] = ceiling.cpu_ms or result[name]["cpu_ms"]
    for target in targets:
        target.close()
    return result


async def _find_ceiling(name: str, load: Load, rates: Sequence[float], seconds: float) -> Ceiling:
    best = Ceiling()
    for rate in rates:
        seen, cpu_ms = await load.send(rate, seconds)
        print(f"{name:<10} {rate:>5.0f}/s  {_summary_line(seen)}", file=sys.stderr)
        refused = seen.statuses[429] / max(1, sum(seen.statuses.values()))
        if (
            seen.quantile(0.99) >= P99_CEILING_MS
            or seen.errors
            or refused > REFUSED_SHARE_MAX
            or seen.summary()["per_second"] < 0.9 * rate
        ):
            break
        best = Ceiling(rate, cpu_ms)
        await asyncio.sleep(0.5)
    return best


def _summary_line(seen: LoadResult) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in seen.summary().items())


async def _phase_totals() -> dict[str, tuple[float, float]]:
    """Seconds and count per phase, both processes together."""
    found: dict[str, tuple[float, float]] = {}
    pattern = re.compile(
        r'^router_phase_duration_seconds_(sum|count)\{phase="(\w+)"\} (\S+)$', re.MULTILINE
    )
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        for port in PORTS:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            for kind, phase, value in pattern.findall(text):
                seconds, count = found.get(phase, (0.0, 0.0))
                add = float(value)
                found[phase] = (seconds + add, count) if kind == "sum" else (seconds, count + add)
    return found


def _phase_means(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> dict[str, dict[str, float]]:
    """Mean milliseconds and count per phase, the costliest first."""
    rows = {}
    for phase, (seconds, count) in after.items():
        old_seconds, old_count = before.get(phase, (0.0, 0.0))
        if (times := count - old_count) > 0:
            mean = (seconds - old_seconds) / times * 1000
            rows[phase] = {"mean_ms": round(mean, 3), "count": times}
    return dict(sorted(rows.items(), key=lambda row: -row[1]["mean_ms"] * row[1]["count"]))


def main() -> int:
    """Exit status 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each load (20)")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (100)")
    parser.add_argument(
        "--quick", action="store_true", help="look for the ceiling up to 300/s only"
    )
    parser.add_argument("--new-only", action="store_true", help="send new questions only")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        watch_owner(Path(folder)),  # a benchmark that is killed leaves no server behind
    ):
        result = uvloop.run(measure(options, Path(folder)))  # the load shares the cores
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    for name in ("users", "strangers"):
        if name in result:
            _print_phases(name, result[name])
    return 0 if _print_result(options.rate, result) else 1


def _print_phases(name: str, load: dict[str, Any]) -> None:
    print(f"{name}: mean milliseconds by phase")
    for phase, row in load["phases"].items():
        print(f"  {phase:<12} {row['mean_ms']:>8.3f}  x {row['count']:.0f}")


def _print_result(rate: float, result: dict[str, Any]) -> bool:
    """Print the figures and return whether the bars are met."""
    embedding, cpu = result["embedding"], result["strangers"]["cpu_ms_at_highest"]
    router, graph = (cpu[part] / embedding["cpu_ms"] for part in ("router", "graph"))
    highest = result["strangers_highest"]
    print(
        f"a new question: {cpu['router']:.1f} ms of processor time in the router, {router:.1f} times an "
        f"embedding ({embedding['cpu_ms']:.1f} ms); {cpu['graph']:.1f} ms in the graph, {graph:.1f} "
        f"times; highest rate with P99 < 1 s: {highest:.0f}/s, "
        f"{highest / embedding['per_second']:.0%} of the embedding's {embedding['per_second']:.0f}/s"
    )
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"load averages of the machine at the end: {loads}")
    if "users" not in result:
        return bool(router <= ROUTER_RATIO_MAX)
    now = result["users"]
    print(
        f"service at {rate:.0f}/s: P50 {now['p50_ms']} ms, P99 {now['p99_ms']} ms, errors "
        f"{now['errors']}; highest rate with P99 < 1 s: {result['users_highest']:.0f}/s"
    )
    return bool(now["p50_ms"] < P50_MAX_MS and now["p99_ms"] < P99_MAX_MS and now["errors"] == 0)


if __name__ == "__main__":
    sys.exit(main())
