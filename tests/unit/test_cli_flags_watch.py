"""The picture of ``sluice flags watch``: flags, what routers serve, changes, and a lost store."""

from datetime import UTC, datetime

from rich.console import Console

from cli.flags_watch import Look, picture
from router.flags import AuditEntry, Change, FlagDocument, FlagState
from router.flags.processes import ProcessView, RouterProcess, SeenFlag, SeenFlags

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
FLAG = FlagState(name="beta", rollout_percentage=25, description="[red]", version=9)


def seen(percentage: float, *, stale: bool = False, killed: bool = False) -> ProcessView:
    flag = SeenFlag(rollout_percentage=percentage, killed=killed)
    told = SeenFlags(
        process_id="r", version=8, lease_age_seconds=0.1, stale=stale, phases={},
        flags={"beta": flag},
    )  # fmt: skip
    return ProcessView(RouterProcess("r", "http://x", 1, 0.0), told)


def entry(before: object, after: object) -> AuditEntry:
    return AuditEntry("1-0", 0, "beta", "percentage", before, after, 9, Change("ops", "[why]"))


def drawn(name: str | None, trouble: str = "", *views: ProcessView) -> str:
    changes = (
        entry({"rollout_percentage": 5.0}, {"rollout_percentage": 25.0}),
        entry({"rollout_percentage": 5.0}, {"rollout_percentage": 5.0}),
    )
    look = Look(FlagDocument(version=9, flags={"beta": FLAG}), changes, views)
    console = Console(width=160)
    with console.capture() as captured:
        console.print(picture(look, name, trouble, NOW))
    return captured.get()


def test_all_flags_with_their_latest_changes() -> None:
    text = drawn(None, "", seen(25))
    for told in ("beta", "25", "[red]", "5 % → 25 %", "as it was", "ops", "[why]", "1 of 1 router"):
        assert told in text


def test_one_flag_with_what_each_router_makes_of_it() -> None:
    gone = ProcessView(RouterProcess("gone", "http://x", 1, 0.0), None, "refused")
    text = drawn("beta", "", seen(25), seen(25, stale=True), seen(0, killed=True), gone)
    for told in ("25 % and 0 whitelisted", "stale: off", "killed: off", "does not answer: refused"):
        assert told in text


def test_a_lost_store_is_told_above_the_old_picture() -> None:
    assert "Redis is away" in drawn(None, "Redis is away")
