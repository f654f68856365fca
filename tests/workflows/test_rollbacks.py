"""The guide's rollbacks: graceful, step back by choice, code; and what happens when one takes long."""

import asyncio
from itertools import pairwise

from temporalio.testing import WorkflowEnvironment

from activities.contract.errors import CodeConflictError, FlagRefusedError, FlagsUnreachableError
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import RollbackKind, State, Status
from sluice.rollout.plan.schema import RolloutPlan
from tests.workflows.harness import ALICE, PLAN, RunningRollout, running_rollout, short_plan
from tests.workflows.test_commands import rejection

EXTRA = """
rollbacks:
  graceful: {percentages: [50, 25, 0], watch: 1h}
  code: {commit: 69cdd35}
notify: [{channel: log}]
"""
GRACEFUL = Command(actor="bob", reason="minor degradation", graceful=True)
CODE = Command(actor="bob", reason="critical bug", code=True)


def rollback_plan() -> RolloutPlan:
    return short_plan(PLAN + EXTRA)


async def ramp_to_everyone(rollout: RunningRollout) -> None:
    """Bring the rollout to 100 %."""
    await rollout.wait_until(lambda s: s.step is not None and s.step.name == "ramp-100")
    await rollout.wait_until(lambda s: s.checks.latest is not None, hours=1)
    await rollout.approve()
    await rollout.wait_until(lambda s: s.percentage == 100, hours=1)


def is_rolled_back(state: State) -> bool:
    return state.percentage == 0 and state.status is Status.DEGRADED


async def test_graceful_goes_down_level_by_level(env: WorkflowEnvironment) -> None:
    """50, a time of watching, 25, a time of watching, 0 (guide: Graceful Rollback)."""
    async with running_rollout(env, rollback_plan()) as rollout:
        await ramp_to_everyone(rollout)
        answer = await rollout.command(Verb.ROLLBACK, GRACEFUL)
        assert (answer.percentage, answer.status) == (50, "Degraded")
        await rollout.pass_time(50)
        assert (await rollout.state()).percentage == 50
        assert "under way" in await rejection(rollout, Verb.ROLLBACK, GRACEFUL)
        state = await rollout.wait_until(is_rolled_back, hours=3)
        assert rollout.flags.percentages == [0, 0, 5, 100, 50, 25, 0]
        assert state.rollback is not None
        assert (state.rollback.from_step, state.rollback.remaining_levels) == ("ramp-100", ())
        downs = [
            event.at for event in state.timeline if event.kind == "rollback"
        ]  # asked, then done
        watched = [(b - a).total_seconds() for a, b in pairwise(downs[1:])]
        assert [seconds >= 3600 for seconds in watched] == [True, True]
        await rollout.pass_time(60)
        assert rollout.flags.percentages[-1] == 0
        again = await rollout.command(Verb.RETRY)
        assert (again.step, again.status) == ("ramp-100", "Progressing")


async def test_a_red_flag_turns_a_graceful_rollback_into_an_emergency(
    env: WorkflowEnvironment,
) -> None:
    """Between its levels the red flags stay on guard."""
    async with running_rollout(env, rollback_plan()) as rollout:
        await ramp_to_everyone(rollout)
        await rollout.command(Verb.ROLLBACK, GRACEFUL)
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(is_rolled_back, hours=1)
        assert rollout.flags.percentages[-2:] == [50, 0]
        assert state.rollback is not None
        assert state.rollback.kind is RollbackKind.EMERGENCY
        assert (await rollout.flags.environment("default").document()).flags["learning"].killed


async def test_where_the_guide_allows_a_choice_a_person_has_it(env: WorkflowEnvironment) -> None:
    """Guide, 25 %: rollback to 5 % or 0 %; any other target is refused by name."""
    choosing = short_plan(
        PLAN.replace("rollback_to: ramp-5\n", "rollback_to: ramp-5\n    rollback_choices: [dark]\n")
    )
    async with running_rollout(env, choosing) as rollout:
        await ramp_to_everyone(rollout)
        elsewhere = Command(actor="bob", to="50")
        assert "ramp-5, dark; not to '50'" in await rejection(rollout, Verb.ROLLBACK, elsewhere)
        answer = await rollout.command(Verb.ROLLBACK, Command(actor="bob", to="0"))
        assert answer.percentage == 0
        state = await rollout.state()
        assert state.rollback is not None
        assert (state.rollback.to_step, state.rollback.kind) == ("dark", RollbackKind.STEP_BACK)


async def test_code_is_reverted_after_zero_and_after_a_persons_confirmation(
    env: WorkflowEnvironment,
) -> None:
    """The flag is at 0 % and killed first; nothing is reverted before somebody confirms it."""
    async with running_rollout(env, rollback_plan()) as rollout:
        await rollout.wait_until(lambda s: s.percentage == 5)
        answer = await rollout.command(Verb.ROLLBACK, CODE)
        assert answer.percentage == 0
        await rollout.pass_time(60)
        assert rollout.code.requests == []
        yes = CODE.model_copy(update={"confirmed": True, "actor": "carol"})
        await rollout.command(Verb.ROLLBACK, yes)
        state = await rollout.wait_until(
            lambda s: s.code_revert is not None and bool(s.code_revert.outcome), 1
        )
        assert state.code_revert is not None
        assert (state.code_revert.outcome, state.code_revert.confirmed_by) == ("reverted", "carol")
        (asked,) = rollout.code.requests
        assert (asked.commit, asked.branch, asked.actor) == ("69cdd35", "main", "carol")
        assert asked.reason == "critical bug"
        assert "reverted already" in await rejection(rollout, Verb.ROLLBACK, yes)
        assert rollout.flags.percentages == [0, 0, 5, 0]


async def test_a_conflict_is_reported_and_can_be_retried(env: WorkflowEnvironment) -> None:
    """A person resolves it; the rollout stays at 0 % and takes the next confirmation."""
    async with running_rollout(env, rollback_plan()) as rollout:
        rollout.code.error = CodeConflictError("conflicts in router.py")
        await rollout.wait_until(lambda s: s.percentage == 5)
        both = CODE.model_copy(update={"confirmed": True})
        await rollout.command(Verb.ROLLBACK, both)
        state = await rollout.wait_until(
            lambda s: s.code_revert is not None and bool(s.code_revert.outcome), 1
        )
        assert state.code_revert is not None
        assert (state.code_revert.outcome, len(rollout.code.requests)) == ("conflict", 1)
        assert "router.py" in state.code_revert.text
        rollout.code.error = None
        await rollout.command(Verb.ROLLBACK, both)
        await rollout.wait_until(
            lambda s: s.code_revert is not None and s.code_revert.outcome == "reverted", 1
        )
        assert rollout.code.requests[0].key == rollout.code.requests[1].key
        await rollout.command(Verb.ABORT)
        assert (await rollout.handle.result()).status is Status.ABORTED


async def test_a_slow_rollback_pages_once_and_goes_on(env: WorkflowEnvironment) -> None:
    """The store is out of reach for minutes: a person hears of it; then it is done all the same."""
    async with running_rollout(env, rollback_plan()) as rollout:
        await rollout.wait_until(lambda s: s.percentage == 5)
        rollout.flags.broken = FlagsUnreachableError("Redis does not answer")
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(lambda s: s.outbox.paged_rollback_at is not None, hours=1)
        assert state.percentage == 5
        rollout.flags.broken = None
        state = await rollout.wait_until(is_rolled_back, hours=1)
        pages = [n for n in rollout.notices.delivered if n.alert == "rollback_slow"]
        assert [(n.severity, n.percentage) for n in pages] == [("P0", 5)]


async def test_a_process_that_disobeys_is_paged_and_people_can_go_on(
    env: WorkflowEnvironment,
) -> None:
    """The store has 0 % but a router doesn't say so: retry and abort don't wait for it.

    Nor does the page, also when the polls end with an error that a retry can't mend.
    """
    async with running_rollout(env, rollback_plan()) as rollout:
        await rollout.wait_until(lambda s: s.percentage == 5)
        rollout.flags.confirmation_errors = [
            FlagsUnreachableError("a router process still serves the treatment"),
            FlagRefusedError("the document is not one of flags"),
        ]
        await rollout.command(Verb.ROLLBACK, Command(actor="bob", emergency=True))
        state = await rollout.wait_until(lambda s: s.outbox.paged_rollback_at is not None, hours=1)
        assert "not every process" in state.timeline[-1].text
        assert state.rollback is not None
        assert state.rollback.confirmed_at is None
        rollout.flags.confirmation_errors = [FlagsUnreachableError("the store is restarting")]
        answer = await rollout.command(Verb.ABORT, ALICE)
        assert answer.percentage == 0
        rollout.flags.confirmation_errors.clear()
        assert (await rollout.handle.result()).status is Status.ABORTED


async def test_an_emergency_does_not_wait_behind_a_stuck_step_back(
    env: WorkflowEnvironment,
) -> None:
    """The slower rollback is dropped; what of it comes late is refused by the fence."""
    async with running_rollout(env, rollback_plan()) as rollout:
        await ramp_to_everyone(rollout)
        rollout.flags.broken = FlagsUnreachableError("Redis does not answer")
        await rollout.handle.signal("rollback", Command(actor="bob"))
        await rollout.wait_until(lambda s: s.rollback is not None, hours=1)
        await rollout.handle.signal("rollback", Command(actor="carol", emergency=True))
        await rollout.wait_until(
            lambda s: s.rollback is not None and s.rollback.kind is RollbackKind.EMERGENCY, 1
        )
        rollout.flags.broken = None
        for _ in range(600):  # in real time: the server's sleep can hang over an abandoned activity
            if is_rolled_back(await rollout.state()):
                break
            await asyncio.sleep(0.2)
        assert (await rollout.flags.environment("default").document()).flags["learning"].killed
        assert (await rollout.state()).percentage == 0
        assert rollout.flags.percentages[-1] == 0


async def test_flag_that_another_hand_raises_after_a_rollback_is_taken_back(
    env: WorkflowEnvironment,
) -> None:
    """A raw write to the store clears the kill latch: it is found and undone."""
    async with running_rollout(env, rollback_plan()) as rollout:
        await rollout.wait_until(lambda s: s.percentage == 5)
        await rollout.command(Verb.ROLLBACK, Command(actor="bob", emergency=True))
        first = await rollout.wait_until(is_rolled_back, hours=1)
        flags = rollout.flags.environment(first.plan.environment)
        await flags.unkill(first.plan.flag)
        await flags.set_rollout_percentage(first.plan.flag, 50)
        state = await rollout.wait_until(lambda s: len(s.timeline) > len(first.timeline) + 2)
        texts = [event.text for event in state.timeline if event.kind == "red_flag"]
        assert "is at 50 % in the store, the rollout set 0 %" in texts[-1]
        stored = await rollout.flags.read(first.plan.environment, first.plan.flag)
        assert stored is not None
        assert (stored.percentage, stored.killed) == (0, True)
        assert state.rollback is not None
        assert state.rollback.from_step == "ramp-5", "a retry enters the step that was rolled back"


async def test_a_refused_rollback_pages_and_is_tried_until_it_is_done(
    env: WorkflowEnvironment,
) -> None:
    """Nothing but the write itself ends it: the store may take it a moment later."""
    async with running_rollout(env, rollback_plan()) as rollout:
        await rollout.wait_until(lambda s: s.percentage > 0)
        rollout.flags.broken = FlagRefusedError("the store refuses it")
        await rollout.handle.signal("rollback", Command(actor="ui", emergency=True))
        state = await rollout.wait_until(
            lambda s: any(event.kind == "problem" for event in s.timeline), hours=1
        )
        assert "can't lower the flag, trying again" in state.timeline[-1].text
        await rollout.pass_time(2)
        rollout.flags.broken = None
        await rollout.wait_until(is_rolled_back, hours=1)
