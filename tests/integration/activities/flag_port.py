"""A flags port of a test, the store behind it, and the writes that a rollout sends to it."""

from temporalio.testing import ActivityEnvironment

from activities.adapters.redis_flags import RedisFlags
from activities.doubles.flags import MemoryFlags
from activities.flags import FlagActivities
from sluice.flags import FeatureFlags
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.plan.schema import PhaseSwitches

FLAG = "phase4"
PHASES_ON = PhaseSwitches(enable_feature_flags=True, enable_online_learning=True)


def flag_write(sequence: int, **fields: object) -> FlagWrite:
    defaults = {
        "environment": "default",
        "flag": FLAG,
        "run_id": "run-1",
        "actor": "sluice",
        "reason": "test",
    }
    return FlagWrite.model_validate({**defaults, "sequence": sequence, **fields})


class FlagPort:
    """A flags port and the store behind it as a person would use it."""

    def __init__(self, port: MemoryFlags | RedisFlags, person: FeatureFlags) -> None:
        self.port = port
        self.person = person

    async def apply(self, wanted: FlagWrite) -> FlagReceipt:
        return await ActivityEnvironment().run(FlagActivities(self.port).apply, wanted)
