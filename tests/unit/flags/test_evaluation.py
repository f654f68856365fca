"""The order of evaluation, the reasons, and that nothing makes it raise or fail open."""

from __future__ import annotations

import math
import time

import pytest

from sluice.flags import Evaluation, FlagDocument, FlagState, Reason
from sluice.flags.evaluation import CACHED_USERS_MAX, EvaluationTable, FlagRule
from sluice.flags.view import FlagView


def view_of(lease: float = math.inf, /, **fields: object) -> FlagView:
    view = FlagView()
    flag = FlagState.model_validate({"name": "flag", **fields})
    view._install(FlagDocument(version=7, flags={"flag": flag}))
    view._renew(time.monotonic(), lease)
    return view


def evaluated(view: FlagView, user: object = "user") -> tuple[bool, str, str]:
    evaluation = view.evaluate("flag", user)  # type: ignore[arg-type]  # wrong ids are the point
    return evaluation.enabled, str(evaluation.reason), evaluation.detail


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"rollout_percentage": 100}, (True, "SPLIT", "")),
        ({"rollout_percentage": 0}, (False, "DEFAULT", "")),
        ({"default_enabled": True}, (True, "DEFAULT", "")),
        ({"whitelist": {"user"}}, (True, "TARGETING_MATCH", "WHITELIST")),
        (
            {"rollout_percentage": 100, "blacklist": {"user"}},
            (False, "TARGETING_MATCH", "BLACKLIST"),
        ),
        ({"whitelist": {"user"}, "blacklist": {"user"}}, (False, "TARGETING_MATCH", "BLACKLIST")),
        (
            {
                "rollout_percentage": 100,
                "whitelist": {"user"},
                "default_enabled": True,
                "killed": True,
            },
            (False, "DISABLED", "KILLED"),
        ),
        ({"rollout_percentage": 100, "confirmed": False}, (False, "STALE", "UNCONFIRMED")),
    ],
)
def test_the_first_matching_rule_decides(
    fields: dict[str, object], expected: tuple[bool, str, str]
) -> None:
    assert evaluated(view_of(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"rollout_percentage": 100}, (False, "STALE", "LEASE_EXPIRED")),
        ({"whitelist": {"user"}, "default_enabled": True}, (False, "STALE", "LEASE_EXPIRED")),
        ({"rollout_percentage": 100, "on_stale": "hold"}, (True, "SPLIT", "")),
        ({"on_stale": "hold", "killed": True}, (False, "DISABLED", "KILLED")),
    ],
)
def test_without_a_lease_treatment_is_off_unless_the_flag_may_hold(
    fields: dict[str, object], expected: tuple[bool, str, str]
) -> None:
    view = view_of(0.0, **fields)
    assert evaluated(view) == expected
    assert view.stale


def test_the_lease_expires_by_itself() -> None:
    view = view_of(0.05, rollout_percentage=100)
    assert evaluated(view)[0]
    time.sleep(0.06)
    assert evaluated(view) == (False, "STALE", "LEASE_EXPIRED")


def test_a_view_that_never_read_answers_stale_and_shows_no_phase() -> None:
    view = FlagView()
    assert view.evaluate("flag", "user") == Evaluation(
        False, Reason.STALE, "control", 0, "PROVIDER_NOT_READY"
    )
    assert view.phases() == {"enable_feature_flags": False, "enable_online_learning": False}
    assert view.lease_age_seconds() == math.inf


def test_an_unknown_flag_is_off() -> None:
    evaluation = view_of().evaluate("other", "user")
    assert (evaluation.enabled, evaluation.detail) == (False, "FLAG_NOT_FOUND")
    assert evaluation.version == 7


@pytest.mark.parametrize("user", ["", None, 5, True, ["user"], b"user", "\ud800"])
def test_an_invalid_user_id_is_off_even_at_100_percent(user: object) -> None:
    assert evaluated(view_of(rollout_percentage=100), user) == (False, "ERROR", "INVALID_ARGUMENT")


def test_evaluations_are_counted_by_reason_across_documents() -> None:
    view = view_of(rollout_percentage=100)
    for _ in range(3):
        evaluated(view)
    view._install(FlagDocument(version=8))
    evaluated(view)
    assert view.evaluations() == {
        "TARGETING_MATCH": 0, "SPLIT": 3, "DEFAULT": 0, "DISABLED": 0, "STALE": 0, "ERROR": 1,
    }  # fmt: skip


def test_remembered_users_are_bounded() -> None:
    answer = EvaluationTable(1).add_evaluation(True, Reason.SPLIT)
    rule = FlagRule(lambda _user: answer)
    for number in range(CACHED_USERS_MAX + 10):
        assert rule[str(number)] is answer
    assert len(rule) == 10
    assert rule["x" * 300] is answer
    assert "x" * 300 not in rule
