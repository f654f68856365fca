"""The router on its real stores: right records, degraded answers, faults only for the treatment."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from router.errors import InjectedFault, InvalidQuestion, UnknownQueryId
from router.learning import UserFeedback
from router.observability.metrics import COHORTS
from router.phases.phase_switches import PHASE4_FLAG
from router.router import QueryRouter
from router.settings import Settings
from tests.integration.router.running_router import running_router, running_treated_router

pytestmark = pytest.mark.integration


async def test_two_questions_in_one_are_both_answered(seeded_settings: Settings) -> None:
    async with running_router(
        seeded_settings, enable_query_rewriting=True, enable_multi_router=True
    ) as router:
        for question in (
            "Who drives truck T-12, and which invoices are overdue with amount_eur > 5000?",
            "Which overdue invoices have amount_eur > 5000? And who drives truck T-12?",
        ):
            answer = await router.query(question, user_id="bob")
            assert {"DRV-1", "INV-1042"} <= {hit.id for hit in answer.results[:3]}, question


async def test_a_question_of_each_intent_finds_its_record_with_its_source(
    seeded_settings: Settings,
) -> None:
    expected = {
        "Who drives truck T-12?": ("graph", "DRV-1", "drivers/DRV-1"),
        "What happened to truck T-12 in March 2025?": ("temporal", "INC-1", "incidents/INC-1"),
        "overdue invoices with amount_eur > 5000": ("metadata", "INV-1042", "invoices/INV-1042"),
        "find documents about rest times of drivers": ("semantic", "HB-2", "handbook/HB-2"),
    }
    async with running_router(seeded_settings) as router:
        for question, (intent, record, source) in expected.items():
            answer = await router.query(question, user_id="bob")
            assert answer.intent == intent, question
            assert (answer.results[0].id, answer.results[0].source) == (record, source), question
            assert (answer.cohort, answer.degraded) == ("control", False)


async def test_a_contradictory_question_is_corrected_once_and_reported(
    seeded_settings: Settings,
) -> None:
    async with running_router(seeded_settings) as router:
        either = await router.query("drivers where status = 'active' and status = 'on leave'")
        assert {hit.id for hit in either.results} == {"DRV-1", "DRV-2", "DRV-3"}
        (said,) = either.corrections
        assert said.startswith("contradictory (status = active and status = on leave): asked postg")
        assert either.left_out == (
            "status = active and status = on leave together (either will do)",
        )
        unknown = await router.query("trucks where colour = 'red' and capacity_kg > 20000")
        assert unknown.results[0].id == "TRK-12"
        assert unknown.left_out == ("colour = 'red'",)
        assert "not understood (colour = 'red'): asked qdrant, graph" in unknown.corrections
        whole = await router.query("trucks where capacity_kg > 20000 and capacity_kg < 30000")
        assert (whole.corrections, whole.left_out) == ((), ())


async def test_no_question_is_corrected_more_often_than_allowed(seeded_settings: Settings) -> None:
    impossible = "invoices where status = 'paid' and status = 'overdue' and amount_eur > 900000"
    async with running_router(seeded_settings, enable_semantic_cache=False) as router:
        twice = await router.query(impossible)
    async with running_router(
        seeded_settings, enable_semantic_cache=False, max_correction_retries=1
    ) as router:
        once = await router.query(impossible)
    assert (len(twice.corrections), len(once.corrections)) == (2, 1)
    assert len(set(twice.corrections)) == 2, "each with another plan"


async def test_nothing_is_searched_for_what_is_out_of_scope(seeded_settings: Settings) -> None:
    async with running_router(seeded_settings) as router:
        answer = await router.query("Tell me a joke", user_id="bob")
    assert (answer.intent, answer.results, answer.backends) == ("out_of_scope", (), ())


async def test_the_second_time_comes_from_the_cache_of_the_same_cohort(
    seeded_settings: Settings,
) -> None:
    async with running_treated_router(seeded_settings) as router:
        first = await router.query("Who drives truck T-12?", user_id="bob")
        async with asyncio.timeout(3):
            while not (again := await router.query("who drives truck T-12", user_id="bob")).cached:  # noqa: ASYNC110  # another thread or process changes it
                await asyncio.sleep(0.02)
        other = await router.query("Who drives truck T-12?", user_id="alice")
    assert [hit.id for hit in again.results] == [hit.id for hit in first.results]
    assert again.query_id != first.query_id
    assert (other.cohort, other.cached) == ("treatment", False)


async def test_an_empty_question_is_the_callers_mistake(seeded_settings: Settings) -> None:
    async with running_router(seeded_settings) as router:
        with pytest.raises(InvalidQuestion):
            await router.query("   ", user_id="bob")


async def test_feedback_of_the_treatment_is_learned_and_of_control_only_counted_once(
    seeded_settings: Settings,
) -> None:
    async with running_treated_router(seeded_settings) as router:
        alice = await router.query("Who drives truck T-12?", user_id="alice")
        bob = await router.query("Who drives truck T-12?", user_id="bob")
        learned = await router.record_feedback(UserFeedback(alice.query_id, clicked=True))
        counted = await router.record_feedback(
            UserFeedback(bob.query_id, clicked=True), complaint=True
        )
        again = await router.record_feedback(
            UserFeedback(bob.query_id, explicit_rating=1), complaint=True
        )
        for never_given_out in ("t-never", "c-never"):
            with pytest.raises(UnknownQueryId):
                await router.record_feedback(UserFeedback(never_given_out, clicked=True))
        value = router.metrics.registry.get_sample_value
        assert value("router_complaints_total", {"cohort": "control"}) == 1
        assert value("router_feedback_total", {"cohort": "treatment"}) == 1
        assert value("router_feedback_reward_sum", {"cohort": "control"}) == 1
    outcomes = (learned.outcome, counted.outcome, again.outcome)
    assert outcomes == ("accepted", "observed", "duplicate")


async def test_a_complaint_counts_once_and_late_feedback_in_neither_cohort(
    seeded_settings: Settings,
) -> None:
    async with running_treated_router(seeded_settings) as router:
        for user, cohort in (("alice", "treatment"), ("bob", "control")):
            given = (await router.query("Who drives truck T-12?", user_id=user)).query_id
            complaint = UserFeedback(given)
            first = await router.record_feedback(complaint, complaint=True)
            retried = await router.record_feedback(complaint, complaint=True)
            assert (first.outcome, retried.outcome) == ("empty", "duplicate")
            rated = await router.record_feedback(UserFeedback(given, clicked=True), complaint=True)
            assert rated.outcome in ("accepted", "observed")  # what came first was no signal
            value = router.metrics.registry.get_sample_value
            assert value("router_complaints_total", {"cohort": cohort}) == 1
            assert value("router_feedback_total", {"cohort": cohort}) == 1
        late_id = await issued_ago(router, 3_700)
        late = await router.record_feedback(UserFeedback(late_id, clicked=True))
        assert late.outcome == "late"
        for age in (5_500, -100):
            expired_id = await issued_ago(router, age)
            with pytest.raises(UnknownQueryId):
                await router.record_feedback(UserFeedback(expired_id), complaint=True)
        assert value("router_feedback_total", {"cohort": "control"}) == 1


async def issued_ago(router: QueryRouter, seconds: int) -> str:
    """Issue an id to bob while the clock shows a time so many seconds ago."""
    now = time.time_ns()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now - seconds * 1_000_000_000)
        return router.components.query_ids.issue("default", "control", "bob", None)


async def test_one_user_cannot_outweigh_the_others(seeded_settings: Settings) -> None:
    """Feedback above the limit of its user is acknowledged and counts nowhere."""
    async with running_treated_router(seeded_settings) as router:
        issue = router.components.query_ids.issue
        outcomes = []
        for _ in range(30):
            query_id = issue("default", "control", "mallory", None)
            feedback = UserFeedback(query_id, explicit_rating=1)
            outcomes.append((await router.record_feedback(feedback, complaint=True)).outcome)
        for number in range(20):
            query_id = issue("default", "control", f"user-{number}", None)
            await router.record_feedback(UserFeedback(query_id, explicit_rating=5))
        value = router.metrics.registry.get_sample_value
        assert (outcomes.count("observed"), outcomes.count("capped")) == (10, 20)
        assert value("router_feedback_total", {"cohort": "control"}) == 30
        assert value("router_feedback_reward_sum", {"cohort": "control"}) == 20
        assert value("router_complaints_total", {"cohort": "control"}) == 1


async def test_a_tenant_cannot_use_up_the_feedback_of_another(seeded_settings: Settings) -> None:
    async with running_treated_router(seeded_settings) as router:
        answer = await router.query("Who drives truck T-12?", user_id="bob", tenant="a")
        feedback = UserFeedback(answer.query_id, clicked=True)
        with pytest.raises(UnknownQueryId):
            await router.record_feedback(feedback, tenant="b")
        assert (await router.record_feedback(feedback, tenant="a")).outcome == "observed"


async def test_a_fault_hurts_only_the_treatment_and_leaves_with_its_key(
    seeded_settings: Settings,
) -> None:
    faulty = replace(seeded_settings, fault_injection=True)
    key = f"sluice:{faulty.environment}:faults"
    redis = Redis.from_url(faulty.stores.redis_url)
    async with redis, running_treated_router(faulty) as router:
        faults = router.components.faults
        assert faults is not None
        await redis.set(key, '{"kind": "errors", "share": 1.0}')
        await _wait_until(lambda: faults.fault is not None)
        with pytest.raises(InjectedFault):
            await router.query("Who drives truck T-12?", user_id="alice")
        assert (await router.query("Who drives truck T-12?", user_id="bob")).results
        await redis.set(key, '{"kind": "reward"}')
        await _wait_until(lambda: faults.fault is not None and faults.fault.kind == "reward")
        wrong = await router.query("Who drives truck T-12?", user_id="alice")
        assert "DRV-1" not in {hit.id for hit in wrong.results[:3]}
        await redis.delete(key)
        await _wait_until(lambda: faults.fault is None)
        right = await router.query("Who drives truck T-12?", user_id="alice")
        assert (right.results[0].id, right.cached) == ("DRV-1", False)


async def test_phases_switch_live_through_the_flag_document(seeded_settings: Settings) -> None:
    async with running_router(seeded_settings) as router:
        assert router.feature_flags is None
        assert router.online_learning_router is None
        flags = router.components.phases.flags
        await flags.set_phases({"enable_feature_flags": False, "enable_online_learning": True})
        await _wait_until(lambda: router.online_learning_router is not None)
        answer = await router.query("Who drives truck T-12?", user_id="anybody")
        assert answer.cohort == "treatment"
        await flags.set_phases({"enable_online_learning": False})
        await _wait_until(lambda: router.online_learning_router is None)
        assert (await router.query("Who drives T-7?", user_id="anybody")).cohort == "control"


async def _wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # another thread or process changes it
            await asyncio.sleep(0.02)


async def test_users_are_counted_once_while_the_flag_splits_them(seeded_settings: Settings) -> None:
    """Alice is whitelisted: nobody's draw put her there, so she takes no part."""
    async with running_treated_router(seeded_settings) as router:
        flags, question = router.feature_flags, "Who drives truck T-12?"
        assert flags is not None
        plain = await router.query(question, user_id="bob")
        await flags.set_rollout_percentage(PHASE4_FLAG, 50)
        async with asyncio.timeout(3):
            while not router.components.phases.splits_users:  # noqa: ASYNC110  another thread changes it
                await asyncio.sleep(0.02)
        answers = [await router.query(question, user_id=name) for name in (*"abab", "alice")]
        for answer in (plain, *answers):
            await router.record_feedback(UserFeedback(answer.query_id, clicked=True))
        await router.query(question)
        await router.components.user_counter.flush()
        value = router.metrics.registry.get_sample_value
        for name in ("router_users_total", "router_users_reward_count"):
            period = {"since": "step"} if "reward" in name else {}
            assert sum(value(name, {"cohort": c, **period}) or 0 for c in COHORTS) == 2, name
        # Alice by the whitelist, and one query without a user: in no comparison.
        assert value("router_query_duration_seconds_count", {"cohort": "other"}) == 2
        assert value("router_feedback_total", {"cohort": "other"}) == 2  # plain: before the split
