"""The OpenFeature provider: its gherkin for booleans and errors, and failing closed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from sluice.flags import FlagDocument, FlagReader, FlagState
from sluice.flags.openfeature import SluiceProvider
from sluice.flags.view import FlagView

USER = EvaluationContext(targeting_key="user")
FLAGS = {
    "boolean-flag": FlagState(name="boolean-flag", rollout_percentage=100),
    "context-aware": FlagState(name="context-aware", whitelist=frozenset({"user"})),
    "half": FlagState(name="half", rollout_percentage=50),
    "off": FlagState(name="off"),
    "killed": FlagState(name="killed", rollout_percentage=100, killed=True),
}


@pytest.fixture
def view() -> FlagView:
    view = FlagView()
    view._install(FlagDocument(version=7, flags=FLAGS))
    view._renew(time.monotonic(), math.inf)
    return view


@pytest.fixture
def client(view: FlagView) -> Iterator[OpenFeatureClient]:
    api.set_provider(SluiceProvider(view), "flags")
    yield api.get_client("flags")
    api.shutdown()


def test_resolves_boolean_value_and_details(client: OpenFeatureClient) -> None:
    assert client.get_boolean_value("boolean-flag", False, USER) is True
    details = client.get_boolean_details("boolean-flag", False, USER)
    assert (details.value, details.variant, details.reason) == (True, "treatment", Reason.SPLIT)
    assert details.flag_metadata["version"] == 7


def test_resolves_based_on_context(client: OpenFeatureClient) -> None:
    details = client.get_boolean_details("context-aware", False, USER)
    assert (details.value, details.reason) == (True, Reason.TARGETING_MATCH)
    other = EvaluationContext(targeting_key="other")
    assert client.get_boolean_value("context-aware", False, other) is False


def test_an_unknown_flag_is_flag_not_found(client: OpenFeatureClient) -> None:
    for details in (
        client.get_boolean_details("missing-flag", True, USER),
        client.get_string_details("missing-flag", "uh-oh", USER),
    ):
        assert details.value in {True, "uh-oh"}
        assert (details.reason, details.error_code) == (Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)


def test_a_type_mismatch_is_an_error(client: OpenFeatureClient) -> None:
    string = client.get_string_details("boolean-flag", "x", USER)
    integer = client.get_integer_details("boolean-flag", 13, USER)
    real = client.get_float_details("boolean-flag", 0.1, USER)
    structure = client.get_object_details("boolean-flag", {"a": 1}, USER)
    for details, default in ((string, "x"), (integer, 13), (real, 0.1), (structure, {"a": 1})):
        assert details.value == default
        assert details.error_code == ErrorCode.TYPE_MISMATCH


def test_resolves_boolean_value_without_a_context(client: OpenFeatureClient) -> None:
    """As OpenFeature's gherkin does it: everybody is treated, so nobody need be named."""
    assert client.get_boolean_value("boolean-flag", False) is True
    details = client.get_boolean_details("boolean-flag", False)
    assert (details.value, details.reason, details.error_code) == (True, Reason.STATIC, None)
    off = client.get_boolean_details("off", True, EvaluationContext(targeting_key=""))
    assert (off.value, off.reason) == (False, Reason.STATIC)


def test_a_missing_targeting_key_is_an_error_where_the_user_matters(
    client: OpenFeatureClient,
) -> None:
    for flag in ("context-aware", "half"):
        details = client.get_boolean_details(flag, False)
        assert (details.value, details.reason) == (False, Reason.ERROR)
        assert details.error_code == ErrorCode.TARGETING_KEY_MISSING


def test_without_a_targeting_key_killed_and_stale_are_off(
    client: OpenFeatureClient, view: FlagView
) -> None:
    """Else a default of True would turn a killed treatment on."""
    assert client.get_boolean_details("killed", True).value is False
    view._revoke()
    for flag in ("boolean-flag", "half"):
        details = client.get_boolean_details(flag, True)
        assert (details.value, details.reason) == (False, Reason.STALE)


def test_killed_and_stale_are_off_even_with_a_default_of_true(
    client: OpenFeatureClient, view: FlagView
) -> None:
    killed = client.get_boolean_details("killed", True, USER)
    assert (killed.value, killed.reason) == (False, Reason.DISABLED)
    view._revoke()
    stale = client.get_boolean_details("boolean-flag", True, USER)
    assert (stale.value, stale.reason) == (False, Reason.STALE)


def test_before_the_first_read_a_default_of_true_answers_false() -> None:
    """The SDK returns the caller's default for a provider that is NOT_READY."""
    reader = FlagReader("redis://127.0.0.1:9/0")
    api.set_provider(SluiceProvider(reader, ready_seconds=0.2), "early")
    client = api.get_client("early")
    answers = {client.get_boolean_value("any", True, USER) for _ in range(1000)}
    details = client.get_boolean_details("any", True, USER)
    api.shutdown()
    assert answers == {False}
    assert details.reason == Reason.STALE
