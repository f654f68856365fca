"""``sluice list`` shows each rollout once; flags are compared with their audit log and rollout."""

from datetime import UTC, datetime, timedelta

from sluice.cli.clients.listing import ListedRollout, fold_runs
from sluice.cli.doctor.flag_records import audit_problem, reset_problem
from sluice.flags import AuditEntry, FlagState
from sluice.flags.document import FenceState
from sluice.flags.write_metadata import WriteMetadata
from sluice.rollout.engine.state import State
from tests.phase4_plan import PHASE4

AT = datetime(2026, 3, 1, tzinfo=UTC)


def run(day: int, workflow: str, status: str = "Progressing") -> ListedRollout:
    return ListedRollout("f", workflow, status, "ramp", 5.0, AT + timedelta(days=day))


def test_a_continued_rollout_is_listed_once_with_its_first_start() -> None:
    runs = [
        run(9, "running"),
        run(5, "continued_as_new"),
        run(1, "continued_as_new"),
        run(0, "completed", "Aborted"),
    ]
    assert [(row.status, row.started_at) for row in fold_runs(runs)] == [
        ("Progressing", AT + timedelta(days=1)),
        ("Aborted", AT),
    ]


def entry(after: object) -> AuditEntry:
    return AuditEntry("1-0", 0, "f", "kill", None, after, 1, WriteMetadata("alice", ""))


def test_a_flag_that_serves_more_than_its_audit_log_is_found() -> None:
    """A raw write past Sluice leaves no entry; the newest value of each field decides."""
    flag = FlagState(name="f", rollout_percentage=25)
    killed = entry({"killed": True})
    assert "kill latch was cleared" in audit_problem(flag, [killed])
    assert audit_problem(flag, [entry({"killed": False}), killed]) == ""
    assert "the audit log has 5 %" in audit_problem(flag, [entry({"rollout_percentage": 5})])
    assert audit_problem(flag, [entry({"rollout_percentage": 25.0})]) == ""
    assert audit_problem(flag, []) == ""


def test_a_store_that_is_ahead_of_its_rollout_is_found() -> None:
    """A reset to before the first percentage: no watch runs, and 25 % are served."""
    plan = PHASE4
    state = State(rollout_id="r", run_id="run", plan=plan, started_at=AT, sequence=1)
    fence = FenceState(owner="run", sequence=3)
    flag = FlagState(name=plan.flag, rollout_percentage=25, fence=fence)
    problem = reset_problem(flag, state)
    assert "the store has write 3 of this rollout, which itself knows 1" in problem
    assert f"sluice rollback {plan.flag} --emergency" in problem
    state.sequence = 3
    assert reset_problem(flag, state) == ""
    of_another_run = flag.model_copy(update={"fence": FenceState(owner="other", sequence=9)})
    assert reset_problem(of_another_run, state) == ""
