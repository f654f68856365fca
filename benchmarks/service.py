"""Two router processes over real HTTP on embedded stores, no LLM: latency, ceiling, cost per phase.

The demo's freight company (1,600 records) in Redis, Postgres, the graph and Qdrant's engine;
stores, routers and load share this machine. Three loads: the demo's users (some questions are
asked often, so the cache answers many), questions never asked before (the cache answers none), and
rising rates until the 99th percentile passes a second or an answer fails.

    uv run python -m benchmarks.service [--seconds 20] [--rate 100] [--quick] [--json FILE]
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import uvloop

from benchmarks.support.service_load import LoadResult, Target, send_load
from sluice.demo.question_catalog import ZipfSampler, generate_questions
from sluice.demo.seed import seed
from sluice.stack import Stack
from sluice.stack.owner_watchdog import watch_owner

SERVICES = ("redis", "postgres", "graph", "qdrant")
PORTS = (18431, 18432)
RATES = (150, 200, 300, 400, 500, 650, 800, 1000)
P99_CEILING_MS = 1000.0
REFUSED_SHARE_MAX = 0.01
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
        return await _run_loads(options, [Target("127.0.0.1", port) for port in PORTS])
    finally:
        await stack.down()


async def _start_routers(stack: Stack) -> None:
    for port in PORTS:
        argv = (sys.executable, "-m", "router.main", "--port", str(port))
        health = f"http://127.0.0.1:{port}/readyz"
        await stack.spawn(
            f"router-{port}", argv, env={"SLUICE_LOG_LEVEL": "warning"}, health_url=health
        )


async def _run_loads(options: argparse.Namespace, targets: Sequence[Target]) -> dict[str, Any]:
    everyday, new = popular_questions(), new_questions()
    await send_load(targets, everyday, options.rate, options.seconds)  # warm: pools, models, cache
    result: dict[str, Any] = {"rate": options.rate, "seconds": options.seconds}
    for name, ask in (("users", everyday), ("strangers", new)):
        before = await _phase_totals()
        seen = await send_load(targets, ask, options.rate, options.seconds)
        result[name] = {**seen.summary(), "phases": _phase_means(before, await _phase_totals())}
        print(f"{name:<10} {options.rate:>5.0f}/s  {_summary_line(seen)}", file=sys.stderr)
    for name, ask in (("users", everyday), ("strangers", new)):
        result[f"{name}_highest"] = await _highest_rate(name, ask, options, targets)
    for target in targets:
        target.close()
    return result


async def _highest_rate(
    name: str, ask: NextBody, options: argparse.Namespace, targets: Sequence[Target]
) -> float:
    best = 0.0
    for rate in RATES[:3] if options.quick else RATES:
        seen = await send_load(targets, ask, rate, options.seconds / 2)
        print(f"{name:<10} {rate:>5.0f}/s  {_summary_line(seen)}", file=sys.stderr)
        refused = seen.statuses[429] / max(1, sum(seen.statuses.values()))
        if (
            seen.quantile(0.99) >= P99_CEILING_MS
            or seen.errors
            or refused > REFUSED_SHARE_MAX
            or seen.summary()["per_second"] < 0.9 * rate
        ):
            break
        best = rate
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
        print(f"{name}: mean milliseconds by phase")
        for phase, row in result[name]["phases"].items():
            print(f"  {phase:<12} {row['mean_ms']:>8.3f}  x {row['count']:.0f}")
    now = result["users"]
    passed = now["p50_ms"] < 20 and now["p99_ms"] < 100 and now["errors"] == 0  # noqa: PLR2004
    print(
        f"service at {options.rate:.0f}/s: P50 {now['p50_ms']} ms, P99 {now['p99_ms']} ms, errors "
        f"{now['errors']}; highest rate with P99 < 1 s: {result['users_highest']:.0f}/s "
        f"({result['strangers_highest']:.0f}/s when every question is new)"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
