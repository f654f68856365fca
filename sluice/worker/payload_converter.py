"""The payload converter: pydantic's JSON, tolerant of fields from other versions.

A rollout runs for weeks, so one version of the worker reads states that another wrote. An unknown
field is skipped; an error would stop the rollout and its red flag watch. Commands of people stay
strict: a misspelt ``emergency`` must be refused, not skipped.
"""

import dataclasses
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

from sluice.rollout.engine.commands import Command


class TolerantJSONConverter(PydanticJSONPlainPayloadConverter):
    """JSON converter that skips unknown fields, except in commands of people."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ANN401  any model
        """Read one value; raise ValidationError when it does not fit."""
        strict = isinstance(type_hint, type) and issubclass(type_hint, Command)
        adapter: TypeAdapter[Any] = self._type_adapter(Any if type_hint is None else type_hint)
        return adapter.validate_json(payload.data, extra=None if strict else "ignore")


_ENCODING_CONVERTERS = tuple(
    TolerantJSONConverter() if isinstance(converter, JSONPlainPayloadConverter) else converter
    for converter in DefaultPayloadConverter.default_encoding_payload_converters
)


class TolerantPayloadConverter(CompositePayloadConverter):
    """Temporal's converters with ours for JSON.

    The SDK builds one per workflow task; all share the cache of type adapters.
    """

    def __init__(self) -> None:
        super().__init__(*_ENCODING_CONVERTERS)


DATA_CONVERTER = dataclasses.replace(
    DataConverter.default, payload_converter_class=TolerantPayloadConverter
)
