"""The feed shares one poll between pages, and keeps the last state while Temporal is away."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from activities.contract.models import WatchCheckpoint
from sluice.cli.errors import CliError, Exit
from sluice.console.feeds.check_history import LEDGER_AWAY, RecordedHistory
from sluice.console.feeds.rollout_feed import TEMPORAL_AWAY, RolloutFeed
from sluice.console.feeds.rollout_source import RolloutRow
from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
from sluice.rollout.engine.state import State
from tests.workflows.harness import short_plan

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class ScriptedSource:
    """A source that a test takes away, and that counts what it is asked."""

    def __init__(self) -> None:
        self.state = State(rollout_id="r/1", run_id="1", plan=short_plan(), started_at=NOW)
        self.error: CliError | None = None
        self.calls: Counter[str] = Counter()

    async def fetch_rows(self) -> list[RolloutRow]:
        return []

    async def fetch_state(self, flag: str) -> State:
        self.calls["state"] += 1
        if self.error is not None:
            raise self.error
        return self.state

    async def fetch_watch(self, flag: str) -> WatchCheckpoint | None:
        return None

    async def fetch_waiting(self, flag: str) -> tuple[str, datetime | None]:
        return "soaking", None

    async def send_command(
        self, flag: str, verb: Verb, command: Command, seconds: float = 10
    ) -> Acknowledgement:
        raise AssertionError("nothing is decided here")

    async def send_signal(self, flag: str, verb: Verb, command: Command) -> None:
        raise AssertionError("nothing is decided here")


async def _no_history(state: State) -> RecordedHistory:
    return RecordedHistory()


async def test_last_state_is_kept_and_marked_while_temporal_is_away() -> None:
    """Marked, never silently old; without any last state the error itself is raised."""
    source = ScriptedSource()
    feed = RolloutFeed(source, _no_history)
    source.error = CliError("no worker at 10.0.0.1", Exit.UNREACHABLE)
    with pytest.raises(CliError):
        await feed.read("learning")
    source.error = None
    assert (await feed.read("learning")).problems == ()
    source.error = CliError("no worker at 10.0.0.1", Exit.UNREACHABLE)
    stale = await feed.read("learning")
    assert stale.state is source.state
    assert stale.problems == (TEMPORAL_AWAY,)
    source.error = None
    assert (await feed.read("learning")).problems == ()


async def test_missing_rollout_is_an_error_even_with_a_last_state() -> None:
    source = ScriptedSource()
    feed = RolloutFeed(source, _no_history)
    await feed.read("learning")
    source.error = CliError("learning has no rollout.", Exit.NOT_FOUND)
    with pytest.raises(CliError):
        await feed.read("learning")


async def test_ledger_problem_shows_beside_a_fresh_state() -> None:
    async def away(state: State) -> RecordedHistory:
        return RecordedHistory(problem=LEDGER_AWAY)

    assert (await RolloutFeed(ScriptedSource(), away).read("learning")).problems == (LEDGER_AWAY,)


async def test_many_pages_share_one_poll_and_each_hears_every_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """200 open pages must not ask Temporal 200 times; after the last one leaves, nobody asks."""
    monkeypatch.setattr("sluice.console.feeds.rollout_feed.POLL_SECONDS", 0.02)
    source = ScriptedSource()
    feed = RolloutFeed(source, _no_history)
    pages = [feed.follow("learning") for _ in range(50)]
    for page in pages:
        await anext(page)
    asked = source.calls["state"]
    source.state = source.state.model_copy(update={"percentage": 5.0})
    async with asyncio.timeout(5):
        seen = await asyncio.gather(*(anext(page) for page in pages))
    assert {snapshot.state.percentage for snapshot in seen} == {5.0}
    assert source.calls["state"] - asked < len(pages) / 2
    for page in pages:
        await page.aclose()
    asked = source.calls["state"]
    await asyncio.sleep(0.1)
    assert source.calls["state"] == asked
