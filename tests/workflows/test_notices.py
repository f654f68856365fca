"""Notices by severity; a channel cannot delay a rollout."""

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.schema import RolloutPlan
from tests.workflows.harness import PLAN, RunningRollout, running_rollout, short_plan

PAGE = "docs/runbooks/error_spike.md"
ROUTES = """
notify:
  - {channel: log}
  - {channel: webhook, severities: [P0]}
"""


def plan_with_severity(severity: str) -> RolloutPlan:
    """Return the plan with its reward red flag at the given severity."""
    text = PLAN.replace("severity: P1", f"severity: {severity}")
    return short_plan(
        text.replace("min_samples: 5}", f"min_samples: 5, runbook: {PAGE}}}") + ROUTES
    )


def is_exposed(state: State) -> bool:
    return state.percentage > 0


def delivered_alerts(rollout: RunningRollout) -> list[tuple[str, str]]:
    return [(str(notice.severity), notice.alert) for notice in rollout.notices.delivered]


async def test_a_p0_pages_on_every_route_of_its_severity(env: WorkflowEnvironment) -> None:
    """The page is sent at the red flag; the rollback's end is a notice too."""
    async with running_rollout(env, plan_with_severity("P1")) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["errors"] = 0.2
        await rollout.wait_until(lambda s: s.status is Status.DEGRADED, hours=1)
        await rollout.pass_time(5)
        assert delivered_alerts(rollout).count(("P0", "error_spike")) == 2
        assert delivered_alerts(rollout).count(("P0", "rolled_back")) == 2
        keys = {notice.key for notice in rollout.notices.delivered}
        assert len(keys) == 2, "a notice has the same key on every channel"
        assert {notice.runbook for notice in rollout.notices.delivered} == {PAGE}


async def test_a_p1_notifies_pauses_and_is_resolved_by_resume(env: WorkflowEnvironment) -> None:
    """A resume implies a person's look: the alarm ends, by the same name."""
    async with running_rollout(env, plan_with_severity("P1")) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["reward"] = 0.1
        await rollout.wait_until(lambda s: s.status is Status.PAUSED, hours=1)
        rollout.metrics.values["reward"] = 0.8
        await rollout.command(Verb.RESUME)
        await rollout.pass_time(5)
        assert delivered_alerts(rollout) == [("P1", "unhappy"), ("P1", "unhappy")]
        assert [notice.resolved for notice in rollout.notices.delivered] == [False, True]


async def test_a_p2_goes_on_and_reminds_in_time(env: WorkflowEnvironment) -> None:
    """Guide: continue monitoring, investigate within 24 hours; while it persists, it is noted again."""
    sooner = "\nescalation: {p2_reminds_after: 20m}\n"
    of = short_plan(PLAN.replace("severity: P1", "severity: P2") + ROUTES + sooner)
    async with running_rollout(env, of) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["reward"] = 0.2
        state = await rollout.wait_until(lambda s: bool(s.reminders), hours=1)
        assert state.status is Status.PROGRESSING
        (first,) = state.reminders
        state = await rollout.wait_until(lambda s: _kinds(s).count("reminder") == 1, hours=1)
        assert state.percentage == 5
        reminder = next(event for event in state.timeline if event.kind == "reminder")
        assert reminder.at >= first.due_at
        state = await rollout.wait_until(lambda s: _kinds(s).count("note") == 2, hours=1)
        assert delivered_alerts(rollout).count(("P2", "unhappy")) >= 3


async def test_approvers_are_reminded_until_the_approval(env: WorkflowEnvironment) -> None:
    """A rollout that waits for people says so, until somebody approves."""
    sooner = "\nescalation: {p2_reminds_after: 1h}\n"
    async with running_rollout(env, short_plan(PLAN + ROUTES + sooner)) as rollout:
        await rollout.wait_until(lambda s: _kinds(s).count("approval_needed") == 2, hours=12)
        (first, again) = rollout.notices.delivered
        assert (first.alert, first.severity) == ("approval_needed", Severity.P2)
        assert again.at - first.at >= timedelta(hours=1)
        assert "waiting for approval of Hundred (1 more)" in first.text
        assert "sluice approve learning" in first.text
        assert first.runbook == "docs/runbooks/waiting.md"
        await rollout.approve()
        state = await rollout.wait_until(lambda s: s.percentage == 100, hours=1)
        assert state.reminders == ()


async def test_a_pause_at_a_deadline_sends_a_notice_and_reminders(env: WorkflowEnvironment) -> None:
    """Nobody was hurt, but nothing moves; a resume ends the reminding."""
    sooner = "\nescalation: {p2_reminds_after: 1h}\n"
    async with running_rollout(env, short_plan(PLAN + ROUTES + sooner)) as rollout:
        rollout.metrics.values["errors"] = None
        state = await rollout.wait_until(lambda s: s.status is Status.PAUSED, hours=4)
        await rollout.wait_until(lambda s: "reminder" in _kinds(s), hours=2)
        assert delivered_alerts(rollout) == [("P2", "paused"), ("P2", "paused")]
        assert "deadline of Baseline" in rollout.notices.delivered[0].text
        assert rollout.notices.delivered[1].text.startswith("still paused")
        rollout.metrics.values["errors"] = 0.004
        await rollout.command(Verb.RESUME)
        state = await rollout.state()
        assert state.reminders == ()


async def test_a_p3_is_only_noted(env: WorkflowEnvironment) -> None:
    async with running_rollout(env, plan_with_severity("P3")) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["reward"] = 0.2
        state = await rollout.wait_until(lambda s: "note" in _kinds(s), hours=1)
        assert (state.status, state.reminders) == (Status.PROGRESSING, ())
        await rollout.pass_time(2)
        assert ("P3", "unhappy") in delivered_alerts(rollout)


async def test_an_unreachable_channel_delays_nothing_and_is_retried(
    env: WorkflowEnvironment,
) -> None:
    """Rollback, abort and the end of the rollout don't wait; the notices are tried until heard."""
    async with running_rollout(env, plan_with_severity("P1")) as rollout:
        rollout.notices.unreachable = True
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(lambda s: s.status is Status.DEGRADED, hours=1)
        assert state.rollback is not None
        assert state.rollback.completed_at is not None
        assert (state.rollback.completed_at - state.rollback.requested_at).total_seconds() < 60
        assert rollout.notices.delivered == []
        rollout.notices.unreachable = False
        await rollout.pass_time(4)
        first = [
            notice for notice in rollout.notices.delivered if notice.key == f"{state.run_id}-1"
        ]
        assert [notice.severity for notice in first] == [Severity.P0] * 2, "once for each channel"
        rollout.notices.unreachable = True
        await rollout.command(Verb.ABORT, Command(actor="alice"))
        assert (await rollout.handle.result()).status is Status.ABORTED


def _kinds(state: State) -> list[str]:
    return [event.kind for event in state.timeline]


async def test_a_notice_that_another_run_delivers_is_left_to_it(env: WorkflowEnvironment) -> None:
    """After a reset of the workflow its notices have the same ids: nobody gets one twice."""
    async with running_rollout(env, plan_with_severity("P1")) as rollout:
        run_id = (await rollout.state()).run_id
        earlier = await env.client.start_workflow(
            "NoticeWorkflow", id=f"notice-{run_id}-1", task_queue="a worker that is gone"
        )
        await rollout.command(Verb.ABORT)
        assert (await rollout.handle.result()).status is Status.ABORTED
        await earlier.terminate()
        assert delivered_alerts(rollout) == []


async def test_a_channel_that_refuses_a_notice_is_noted(env: WorkflowEnvironment) -> None:
    """Its answer is the result of the notice's own workflow; the rollout does not wait for it."""
    async with running_rollout(env, plan_with_severity("P1")) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.notices.refuses = True
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(lambda s: s.status is Status.DEGRADED, hours=1)
        assert state.percentage == 0
        await rollout.pass_time(5)
        assert delivered_alerts(rollout) == []
