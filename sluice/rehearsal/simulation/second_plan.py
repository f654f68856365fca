"""The rollout of another flag of the environment, which wants the router's phases too."""

from activities.contract.errors import FlagRefusedError
from activities.doubles.flags import MemoryFlags
from sluice.rehearsal.simulation.invariants import BrokenInvariantError
from sluice.rollout.engine.flag_target import FlagWrite
from sluice.rollout.plan.schema import PhaseSwitches, RolloutPlan

FLAG = "second"
_OFF = {"enable_feature_flags": False, "enable_online_learning": False}


class SecondPlan:
    """Takes the phases when they are free, and gives them back."""

    def __init__(self, flags: MemoryFlags, plan: RolloutPlan) -> None:
        self._flags, self._plan = flags, plan
        self._sequence = 0

    async def switch(self) -> str:
        """Start the other rollout, or end it; return what happened.

        Raises:
            BrokenInvariantError: it took the phases from the simulated rollout.
        """
        environment = self._flags.environment(self._plan.environment)
        document = await environment.document()
        if document.phases_flag == FLAG:
            await environment.set_phases(_OFF)
            return "the second plan ends"
        is_taken = document.phases_flag == self._plan.flag and document.phases.enable_feature_flags
        try:
            await self._flags.apply(self._next_write())
        except FlagRefusedError:
            return "a second plan is refused the phases"
        if is_taken:
            raise BrokenInvariantError("a second plan took the phases of this rollout")
        return "a second plan takes the phases"

    def _next_write(self) -> FlagWrite:
        self._sequence += 1
        return FlagWrite(
            environment=self._plan.environment,
            flag=FLAG,
            percentage=5,
            phases=PhaseSwitches(enable_feature_flags=True, enable_online_learning=True),
            create=True,
            run_id=FLAG,
            sequence=self._sequence,
            actor="sluice",
            reason="drawn",
        )
