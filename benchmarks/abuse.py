"""One tenant sends ten times its share: the success and latency of all other tenants.

One router process with API keys on embedded stores; every question is new, so no cache helps. First
the process's capacity is measured: the answers per second to eight callers who each wait for theirs.
Then all tenants send their share, together half of the capacity, and one of them ten times as much,
in turns of a few seconds, so that both meet the same machine. The bars: the others' success stays at
99 % or more, and their 99th percentile within twice that of the quiet turns.

    uv run python -m benchmarks.abuse [--seconds 20] [--tenants 4] [--rate PER_TENANT]
"""

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import uvloop

from benchmarks.service import SERVICES, NextBody, new_questions
from benchmarks.support.service_load import LoadResult, Target, send_load
from router.http.api_keys import SCOPES, format_key_line, generate_key
from sluice.demo.seed import seed
from sluice.stack import Stack
from sluice.stack.owner_watchdog import watch_owner

PORT = 18441
WARM_SECONDS = 5.0
CALLERS = 8
QUIET_SHARE = 0.5
TURNS = 4
PAUSE_SECONDS = 1.0
ABUSE_FACTOR = 10
SUCCESS_MIN = 0.99
P99_FACTOR_MAX = 2.0


async def measure(options: argparse.Namespace, folder: Path) -> bool:
    """Run both loads; return True when the other tenants stay within the bars."""
    keys = {f"tenant-{number}": generate_key() for number in range(options.tenants)}
    stack = Stack(folder, os.environ)
    try:
        await stack.up(SERVICES)
        await seed({**os.environ, **stack.environment(), "SLUICE_LOG_LEVEL": "warning"})
        await _start_router(stack, folder, keys)
        targets = {tenant: Target("127.0.0.1", PORT, key) for tenant, key in keys.items()}
        load = Load(targets, new_questions())
        await load.measure_capacity(WARM_SECONDS)
        capacity = await load.measure_capacity(WARM_SECONDS)
        rate = options.rate or capacity * QUIET_SHARE / options.tenants
        print(f"capacity {capacity:.1f}/s; a tenant's share {rate:.1f}/s")
        abuser = next(iter(keys))
        quiet, abused = await load.alternate(rate, abuser, options.seconds)
        for target in targets.values():
            target.close()
    finally:
        await stack.down()
    return _report(quiet, abused, abuser)


async def _start_router(stack: Stack, folder: Path, keys: Mapping[str, str]) -> None:
    path = folder / "keys"
    lines = [format_key_line(tenant, SCOPES, key) for tenant, key in keys.items()]
    path.write_text("\n".join(lines) + "\n")
    argv = (sys.executable, "-m", "router.main", "--port", str(PORT))
    settings = {"SLUICE_LOG_LEVEL": "error", "SLUICE_API_KEYS": str(path)}
    await stack.spawn("router", argv, env=settings, health_url=f"http://127.0.0.1:{PORT}/readyz")


@dataclass(frozen=True, slots=True)
class Load:
    """The tenants' connections, and one source of questions, so that no load repeats another's."""

    targets: Mapping[str, Target]
    questions: NextBody

    async def send(self, rates: Mapping[str, float], seconds: float) -> dict[str, LoadResult]:
        """Send every tenant's load at once; return the results by tenant."""
        loads = [
            send_load([target], self.questions, rates[tenant], seconds, seed)
            for seed, (tenant, target) in enumerate(self.targets.items())
        ]
        return dict(zip(self.targets, await asyncio.gather(*loads), strict=True))

    async def measure_capacity(self, seconds: float) -> float:
        """Return the answers per second to a few callers who each wait for their answer."""
        until, answered = time.monotonic() + seconds, 0

        async def call(target: Target) -> None:
            nonlocal answered
            while time.monotonic() < until:
                status, _ = await target.post(self.questions())
                answered += status == HTTPStatus.OK

        targets = itertools.islice(itertools.cycle(self.targets.values()), CALLERS)
        await asyncio.gather(*map(call, targets))
        return answered / seconds

    async def alternate(
        self, rate: float, abuser: str, seconds: float
    ) -> tuple[dict[str, LoadResult], dict[str, LoadResult]]:
        """Send quiet and abusive turns of together ``seconds`` each; return their results."""
        fair = dict.fromkeys(self.targets, rate)
        quiet = {tenant: LoadResult() for tenant in fair}
        abused = {tenant: LoadResult() for tenant in fair}
        for _ in range(TURNS):
            for total, rates in ((quiet, fair), (abused, {**fair, abuser: rate * ABUSE_FACTOR})):
                for tenant, result in (await self.send(rates, seconds / TURNS)).items():
                    total[tenant].add(result)
                await asyncio.sleep(PAUSE_SECONDS)
        return quiet, abused


def _report(quiet: Mapping[str, LoadResult], abused: Mapping[str, LoadResult], abuser: str) -> bool:
    for name, results in (("quiet", quiet), ("abused", abused)):
        for tenant, result in results.items():
            mark = " (abusive)" if name == "abused" and tenant == abuser else ""
            summary = ", ".join(f"{key} {value:g}" for key, value in result.summary().items())
            print(f"{name:<7} {tenant}{mark}: success {_success(result):.1%}, {summary}")
    others_quiet, others_abused = (
        _merge(result for tenant, result in results.items() if tenant != abuser)
        for results in (quiet, abused)
    )
    success = _success(others_abused)
    factor = others_abused.quantile(0.99) / others_quiet.quantile(0.99)
    print(f"the others: success {success:.2%}, P99 {factor:.2f} times the quiet one")
    return success >= SUCCESS_MIN and factor <= P99_FACTOR_MAX


def _merge(results: Iterable[LoadResult]) -> LoadResult:
    total = LoadResult()
    for result in results:
        total.add(result)
    return total


def _success(result: LoadResult) -> float:
    return result.statuses[200] / max(1, sum(result.statuses.values()))


def main() -> int:
    """Exit status 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each load (20)")
    parser.add_argument(
        "--rate", type=float, help="a tenant's share per second (of half the capacity)"
    )
    parser.add_argument("--tenants", type=int, default=4, help="tenants, one of them abusive (4)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        watch_owner(Path(folder)),
    ):
        passed = uvloop.run(measure(options, Path(folder)))
    print(f"abuse: {'within' if passed else 'outside'} the bars")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
