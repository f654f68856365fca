"""``sluice list`` shows each rollout once, and the doctor compares flags with their audit log."""

from datetime import UTC, datetime, timedelta

from sluice.cli.clients.rollouts import ListedRollout, fold_runs
from sluice.cli.doctor.flag_records import audit_problem
from sluice.flags import AuditEntry, FlagState
from sluice.flags.write_metadata import WriteMetadata

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
