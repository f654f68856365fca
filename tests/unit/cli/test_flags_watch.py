"""The picture of ``sluice flags watch``: flags, what routers serve, changes, and a lost store."""

from datetime import UTC, datetime

from rich.console import Console

from sluice.cli.views.flags_watch import FlagsSnapshot, flags_panel
from sluice.flags import AuditEntry, FlagDocument, FlagState, WriteMetadata
from sluice.flags.redis.process_polling import ProcessPoll
from sluice.flags.redis.process_registry import ServiceProcess
from sluice.flags.service.readback import FlagsResponse, ServedFlag

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
FLAG = FlagState(name="beta", rollout_percentage=25, description="[red]", version=9)


def process_view(percentage: float, *, stale: bool = False, killed: bool = False) -> ProcessPoll:
    flag = ServedFlag(rollout_percentage=percentage, killed=killed)
    response = FlagsResponse(
        process_id="r", version=8, lease_age_seconds=0.1, stale=stale, phases={},
        flags={"beta": flag},
    )  # fmt: skip
    return ProcessPoll(ServiceProcess("r", "http://x", 1, 0.0), response)


def audit_entry(before: object, after: object) -> AuditEntry:
    return AuditEntry(
        "1-0", 0, "beta", "percentage", before, after, 9, WriteMetadata("ops", "[why]")
    )


def rendered(name: str | None, trouble: str = "", *views: ProcessPoll) -> str:
    changes = (
        audit_entry({"rollout_percentage": 5.0}, {"rollout_percentage": 25.0}),
        audit_entry({"rollout_percentage": 5.0}, {"rollout_percentage": 5.0}),
    )
    look = FlagsSnapshot(FlagDocument(version=9, flags={"beta": FLAG}), changes, views)
    console = Console(width=160)
    with console.capture() as captured:
        console.print(flags_panel(look, name, trouble, NOW))
    return captured.get()


def test_all_flags_with_their_latest_changes() -> None:
    text = rendered(None, "", process_view(25))
    for part in (
        "beta",
        "25",
        "[red]",
        "5 % → 25 %",
        "unchanged",
        "ops",
        "[why]",
        "1 of 1 processes",
    ):
        assert part in text


def test_one_flag_with_what_each_router_makes_of_it() -> None:
    gone = ProcessPoll(ServiceProcess("gone", "http://x", 1, 0.0), None, "refused")
    text = rendered(
        "beta",
        "",
        process_view(25),
        process_view(25, stale=True),
        process_view(0, killed=True),
        gone,
    )
    for part in ("25 % and 0 whitelisted", "stale: off", "killed: off", "does not answer: refused"):
        assert part in text


def test_an_unreachable_store_is_shown_above_the_last_view() -> None:
    assert "Redis is away" in rendered(None, "Redis is away")
