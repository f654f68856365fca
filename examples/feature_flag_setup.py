"""Stage 2 of the guide: the flag infrastructure is on, but nothing uses it yet.

Run `sluice up`, then `python examples/feature_flag_setup.py`.
"""

import asyncio
import time

from examples.router_config_phase3 import read_addresses, stage_1_parameters
from router.router import QueryRouter
from sluice.flags import FeatureFlags

FLAG = "phase4_online_learning"
EVALUATIONS = 10_000
LIMIT_SECONDS = 0.001  # the guide: less than 1 ms for flag evaluation


def evaluation_seconds(flags: FeatureFlags) -> float:
    """Mean time of one evaluation; it happens in memory."""
    started = time.perf_counter()
    for number in range(EVALUATIONS):
        flags.evaluate(FLAG, f"user_{number}")
    return (time.perf_counter() - started) / EVALUATIONS


async def main() -> None:
    async with stage_1_parameters(read_addresses()) as parameters:
        router = QueryRouter(
            **parameters,
            # Phase 4: Enable feature flags
            enable_feature_flags=True,
            enable_online_learning=False,
        )
        await router.initialize()
        try:
            # Verify feature flag manager initialized
            assert router.feature_flags is not None

            # Check feature flag stats
            stats = await router.feature_flags.get_stats()
            print(f"Total flags: {stats['total_flags']}")
            print(f"Cache size: {stats['cache_size']}")

            seconds = evaluation_seconds(router.feature_flags)
            print(f"Evaluation: {seconds * 1e6:.2f} µs")
            assert seconds < LIMIT_SECONDS
        finally:
            await router.close()


if __name__ == "__main__":
    asyncio.run(main())
