"""Stage 3 of the guide: online learning runs, and its flag is at 0 %: no user is affected.

Run `sluice up`, then `python examples/online_learning_setup.py`. What follows, 5 % and up, is the
rollout's: `sluice start plans/phase4.yaml`.
"""

import asyncio

from examples.router_config_phase3 import read_addresses, stage_1_parameters
from router.router import QueryRouter

FLAG = "phase4_online_learning"


async def main() -> None:
    async with stage_1_parameters(read_addresses()) as parameters:
        router = QueryRouter(
            **parameters,
            # Phase 4: Enable both
            enable_feature_flags=True,
            enable_online_learning=True,
            online_learning_batch_size=100,
            online_learning_rate=0.01,  # Conservative learning rate
        )
        await router.initialize()
        try:
            await verify_stage_3(router)
        finally:
            await router.close()


async def verify_stage_3(router: QueryRouter) -> None:
    assert router.feature_flags is not None

    # Create feature flag at 0% (no one gets Phase 4 yet)
    await router.feature_flags.create_flag(
        FLAG,
        description="Enable Phase 4 online learning router",
        default_enabled=False,
        rollout_percentage=0,
    )

    # Verify online learning initialized
    assert router.online_learning_router is not None

    # Check background task running
    stats = router.online_learning_router.get_stats()
    print(f"Feedback count: {stats['feedback_count']}")
    print(f"Queue size: {stats['queue_size']}")

    # Verify flag at 0%
    flag_state = await router.feature_flags.get_flag(FLAG)
    assert flag_state.rollout_percentage == 0

    answer = await router.query("Who drives the night tour to Basel?", user_id="user_alice")
    assert answer.cohort == "control"
    print(f"At 0 % user_alice is in {answer.cohort}")


if __name__ == "__main__":
    asyncio.run(main())
