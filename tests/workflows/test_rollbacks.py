"""The guide's rollbacks: graceful, step back by choice, code; and what happens when one takes long."""

import asyncio
from itertools import pairwise

from temporalio.testing import WorkflowEnvironment

from activities.errors import CodeConflictError, FlagsUnreachableError
from rollout.commands import Command, Verb
from rollout.plan import RolloutPlan
from rollout.state import RollbackKind, State, Status
from tests.workflows.harness import ALICE, PLAN, Rollout, plan, rolling_out
from tests.workflows.test_commands import refused

EXTRA = """
rollbacks:
  graceful: {percentages: [50, 25, 0], watch: 1h}
  code: {commit: 69cdd35}
notify: [{channel: log}]
"""
GRACEFUL = Command(actor="bob", reason="minor degradation", graceful=True)
CODE = Command(actor="bob", reason="critical bug", code=True)


def extended() -> RolloutPlan:
    return plan(PLAN + EXTRA)


async def everyone(rollout: Rollout) -> None:
    """Bring the rollout to 100 %."""
    await rollout.reaches(lambda s: s.step is not None and s.step.name == "ramp-100")
    await rollout.reaches(lambda s: s.evidence is not None, hours=1)
    await rollout.approve()
    await rollout.reaches(lambda s: s.percentage == 100, hours=1)


def zero(state: State) -> bool:
    return state.percentage == 0 and state.status is Status.DEGRADED


async def test_graceful_goes_down_level_by_level(env: WorkflowEnvironment) -> None:
    """50, a time of watching, 25, a time of watching, 0 (guide: Graceful Rollback)."""
    async with rolling_out(env, extended()) as rollout:
        await everyone(rollout)
        answer = await rollout.command(Verb.ROLLBACK, GRACEFUL)
        assert (answer.percentage, answer.status) == (50, "Degraded")
        await rollout.pass_time(50)
        assert (await rollout.state()).percentage == 50
        assert "under way" in await refused(rollout, Verb.ROLLBACK, GRACEFUL)
        state = await rollout.reaches(zero, hours=3)
        assert rollout.flags.trail == [0, 0, 5, 100, 50, 25, 0]
        assert state.rollback is not None
        assert (state.rollback.from_step, state.rollback.ahead) == ("ramp-100", ())
        downs = [
            event.at for event in state.timeline if event.kind == "rollback"
        ]  # asked, then done
        watched = [(b - a).total_seconds() for a, b in pairwise(downs[1:])]
        assert [seconds >= 3600 for seconds in watched] == [True, True]
        await rollout.pass_time(10 * 60)
        assert rollout.flags.trail[-1] == 0
        again = await rollout.command(Verb.RETRY)
        assert (again.step, again.status) == ("ramp-100", "Progressing")


async def test_a_red_flag_turns_a_graceful_rollback_into_an_emergency(
    env: WorkflowEnvironment,
) -> None:
    """Between its levels the red flags stay on guard."""
    async with rolling_out(env, extended()) as rollout:
        await everyone(rollout)
        await rollout.command(Verb.ROLLBACK, GRACEFUL)
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.reaches(zero, hours=1)
        assert rollout.flags.trail[-2:] == [50, 0]
        assert state.rollback is not None
        assert state.rollback.kind is RollbackKind.EMERGENCY
        assert (await rollout.flags.environment("default").document()).flags["learning"].killed


async def test_where_the_guide_allows_a_choice_a_person_has_it(env: WorkflowEnvironment) -> None:
    """Guide, 25 %: rollback to 5 % or 0 %; any other target is refused by name."""
    choosing = plan(
        PLAN.replace("rollback_to: ramp-5\n", "rollback_to: ramp-5\n    rollback_choices: [dark]\n")
    )
    async with rolling_out(env, choosing) as rollout:
        await everyone(rollout)
        elsewhere = Command(actor="bob", to="50")
        assert "ramp-5, dark; not to '50'" in await refused(rollout, Verb.ROLLBACK, elsewhere)
        answer = await rollout.command(Verb.ROLLBACK, Command(actor="bob", to="0"))
        assert answer.percentage == 0
        state = await rollout.state()
        assert state.rollback is not None
        assert (state.rollback.to_step, state.rollback.kind) == ("dark", RollbackKind.STEP_BACK)


async def test_code_is_reverted_after_zero_and_after_a_persons_confirmation(
    env: WorkflowEnvironment,
) -> None:
    """The flag is at 0 % and killed first; nothing is reverted before somebody confirms it."""
    async with rolling_out(env, extended()) as rollout:
        await rollout.reaches(lambda s: s.percentage == 5)
        answer = await rollout.command(Verb.ROLLBACK, CODE)
        assert answer.percentage == 0
        await rollout.pass_time(60)
        assert rollout.code.asked == []
        yes = CODE.model_copy(update={"confirmed": True, "actor": "carol"})
        await rollout.command(Verb.ROLLBACK, yes)
        state = await rollout.reaches(lambda s: s.code is not None and bool(s.code.outcome), 1)
        assert state.code is not None
        assert (state.code.outcome, state.code.confirmed_by) == ("reverted", "carol")
        (asked,) = rollout.code.asked
        assert (asked.commit, asked.branch, asked.actor) == ("69cdd35", "main", "carol")
        assert asked.reason == "critical bug"
        assert "reverted already" in await refused(rollout, Verb.ROLLBACK, yes)
        assert rollout.flags.trail == [0, 0, 5, 0]


async def test_a_conflict_is_told_and_can_be_tried_again(env: WorkflowEnvironment) -> None:
    """A person resolves it; the rollout stays at 0 % and takes the next confirmation."""
    async with rolling_out(env, extended()) as rollout:
        rollout.code.ends = CodeConflictError("conflicts in router.py")
        await rollout.reaches(lambda s: s.percentage == 5)
        both = CODE.model_copy(update={"confirmed": True})
        await rollout.command(Verb.ROLLBACK, both)
        state = await rollout.reaches(lambda s: s.code is not None and bool(s.code.outcome), 1)
        assert state.code is not None
        assert (state.code.outcome, len(rollout.code.asked)) == ("conflict", 1)
        assert "router.py" in state.code.text
        rollout.code.ends = None
        await rollout.command(Verb.ROLLBACK, both)
        await rollout.reaches(lambda s: s.code is not None and s.code.outcome == "reverted", 1)
        assert rollout.code.asked[0].key == rollout.code.asked[1].key
        await rollout.command(Verb.ABORT)
        assert (await rollout.handle.result()).status is Status.ABORTED


async def test_a_slow_rollback_pages_once_and_goes_on(env: WorkflowEnvironment) -> None:
    """The store is out of reach for minutes: a person hears of it; then it is done all the same."""
    async with rolling_out(env, extended()) as rollout:
        await rollout.reaches(lambda s: s.percentage == 5)
        rollout.flags.broken = FlagsUnreachableError("Redis does not answer")
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.reaches(lambda s: s.paged_for is not None, hours=1)
        assert state.percentage == 5
        rollout.flags.broken = None
        state = await rollout.reaches(zero, hours=1)
        pages = [n for n in rollout.notices.heard if n.alert == "rollback_slow"]
        assert [(n.severity, n.percentage) for n in pages] == [("P0", 5)]


async def test_a_process_that_disobeys_is_paged_and_people_can_go_on(
    env: WorkflowEnvironment,
) -> None:
    """The store has 0 % but a router doesn't say so: retry and abort don't wait for it."""
    async with rolling_out(env, extended()) as rollout:
        await rollout.reaches(lambda s: s.percentage == 5)
        rollout.flags.disobeyed = True
        await rollout.command(Verb.ROLLBACK, Command(actor="bob", emergency=True))
        state = await rollout.reaches(lambda s: s.paged_for is not None, hours=1)
        assert "not every router process" in state.timeline[-1].text
        assert state.rollback is not None
        assert state.rollback.confirmed_at is None
        answer = await rollout.command(Verb.ABORT, ALICE)
        assert answer.percentage == 0
        rollout.flags.disobeyed = False
        assert (await rollout.handle.result()).status is Status.ABORTED


async def test_an_emergency_does_not_wait_behind_a_stuck_step_back(
    env: WorkflowEnvironment,
) -> None:
    """The slower rollback is dropped; what of it comes late is refused by the fence."""
    async with rolling_out(env, extended()) as rollout:
        await everyone(rollout)
        rollout.flags.broken = FlagsUnreachableError("Redis does not answer")
        await rollout.handle.signal("rollback", Command(actor="bob"))
        await rollout.reaches(lambda s: s.rollback is not None, hours=1)
        await rollout.handle.signal("rollback", Command(actor="carol", emergency=True))
        await rollout.reaches(
            lambda s: s.rollback is not None and s.rollback.kind is RollbackKind.EMERGENCY, 1
        )
        rollout.flags.broken = None
        for _ in range(600):  # in real time: the server's sleep can hang over an abandoned activity
            if zero(await rollout.state()):
                break
            await asyncio.sleep(0.2)
        assert (await rollout.flags.environment("default").document()).flags["learning"].killed
        assert (await rollout.state()).percentage == 0
        assert rollout.flags.trail[-1] == 0
