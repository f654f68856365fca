"""The document that the flags server serves agrees with OFREP's own, version 0.3.0.

The facts below are those of `service/openapi.yaml` in github.com/open-feature/protocol.
"""

from typing import Any

import pytest

from sluice.flags.server.openapi import openapi_document

STATUSES = {
    "/ofrep/v1/evaluate/flags/{key}": {"200", "400", "401", "403", "404", "429", "500"},
    "/ofrep/v1/evaluate/flags": {"200", "304", "400", "401", "403", "429", "500"},
}
NEVER_SENT = {"429"}
"""The server does not limit the rate of evaluations."""
FIELDS = {
    "evaluation": ({"key", "value", "reason", "variant", "metadata"}, {"key", "reason"}),
    "failure": ({"key", "errorCode", "errorDetails", "metadata"}, {"key", "errorCode"}),
    "notFound": ({"key", "errorCode", "errorDetails", "metadata"}, {"key", "errorCode"}),
    "evaluations": ({"flags", "metadata", "eventStreams"}, {"flags"}),
    "error": ({"errorCode", "errorDetails"}, {"errorCode"}),
}
"""The fields that an answer may have, and those that it must have."""
DOCUMENT: dict[str, Any] = openapi_document()
SCHEMAS = DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("path", STATUSES)
def test_evaluations_have_the_protocols_method_and_statuses(path: str) -> None:
    (method,) = DOCUMENT["paths"][path]
    assert method == "post"
    assert set(DOCUMENT["paths"][path]["post"]["responses"]) == STATUSES[path] - NEVER_SENT


@pytest.mark.parametrize("name", FIELDS)
def test_answers_have_the_protocols_fields(name: str) -> None:
    allowed, required = FIELDS[name]
    assert set(SCHEMAS[name]["properties"]) <= allowed
    assert required <= set(SCHEMAS[name]["required"])


def test_reasons_and_error_codes_are_the_protocols() -> None:
    reasons = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"}
    assert set(SCHEMAS["evaluation"]["properties"]["reason"]["enum"]) == reasons
    codes = {"PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"}
    assert set(SCHEMAS["failure"]["properties"]["errorCode"]["enum"]) == codes
    assert SCHEMAS["notFound"]["properties"]["errorCode"] == {"const": "FLAG_NOT_FOUND"}


def test_requests_and_keys_are_the_protocols() -> None:
    """A context may hold more than the targeting key; a bulk request names the revision it needs."""
    body = DOCUMENT["components"]["requestBodies"]["evaluation"]["content"]["application/json"]
    assert body["schema"]["required"] == ["context"]
    assert SCHEMAS["context"].get("additionalProperties", True) is True
    bulk = DOCUMENT["paths"]["/ofrep/v1/evaluate/flags"]["post"]["parameters"]
    names = {(each["in"], each["name"]) for each in bulk}
    assert names == {
        ("header", "If-None-Match"),
        ("query", "flagConfigEtag"),
        ("query", "flagConfigLastModified"),
    }
    schemes = DOCUMENT["components"]["securitySchemes"].values()
    assert {each.get("name", each.get("scheme")) for each in schemes} == {"X-API-Key", "bearer"}
