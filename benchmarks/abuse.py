"""One tenant sends ten times its share: the success and latency of all other tenants.

One router process with API keys on embedded stores; every question is new, so no cache helps.
First all tenants send their share, then one of them ten times as much. The bars: the others' success
stays at 99 % or more, and their 99th percentile within twice that of the quiet time.

    uv run python -m benchmarks.abuse [--seconds 20] [--rate 8] [--tenants 4]
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.service import SERVICES, NextBody, new_questions
from benchmarks.support.service_load import LoadResult, Target, send_load
from router.http.api_keys import SCOPES, format_key_line, generate_key
from sluice.demo.seed import seed
from sluice.stack import Stack
from sluice.stack.owner_watchdog import watch_owner

PORT = 18441
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
        await load.send(dict.fromkeys(keys, options.rate), min(5.0, options.seconds))  # warm
        quiet = await load.send(dict.fromkeys(keys, options.rate), options.seconds)
        abuser = next(iter(keys))
        rates = {**dict.fromkeys(keys, options.rate), abuser: options.rate * ABUSE_FACTOR}
        abused = await load.send(rates, options.seconds)
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
            send_load([target], self.questions, rates[tenant], seconds)
            for tenant, target in self.targets.items()
        ]
        return dict(zip(self.targets, await asyncio.gather(*loads), strict=True))


def _report(quiet: Mapping[str, LoadResult], abused: Mapping[str, LoadResult], abuser: str) -> bool:
    passed = True
    for name, results in (("quiet", quiet), ("abused", abused)):
        for tenant, result in results.items():
            mark = " (abusive)" if name == "abused" and tenant == abuser else ""
            summary = ", ".join(f"{key} {value:g}" for key, value in result.summary().items())
            print(f"{name:<7} {tenant}{mark}: success {_success(result):.1%}, {summary}")
    p99_quiet = max(result.quantile(0.99) for result in quiet.values())
    for tenant, result in abused.items():
        if tenant != abuser:
            within = result.quantile(0.99) <= P99_FACTOR_MAX * p99_quiet
            passed = passed and within and _success(result) >= SUCCESS_MIN
    return passed


def _success(result: LoadResult) -> float:
    return result.statuses[200] / max(1, sum(result.statuses.values()))


def main() -> int:
    """Exit status 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each load (20)")
    parser.add_argument("--rate", type=float, default=8.0, help="a tenant's share per second (8)")
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
