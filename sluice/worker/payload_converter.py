"""How values travel through Temporal: pydantic's JSON, read with tolerance for other versions.

A rollout lives for weeks, so a state that one version of the worker wrote is read by another: after
an upgrade, and after taking an upgrade back. A field that only the writer knows is skipped, or the
rollout would stand still with nobody at its red flags. What people send stays strict: a misspelt
``emergency`` must be refused, not skipped.
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
    """Skips fields that nobody knows, except in what people send."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ANN401  any model
        """Read one value; ValidationError when it doesn't fit even so."""
        strict = isinstance(type_hint, type) and issubclass(type_hint, Command)
        adapter: TypeAdapter[Any] = self._type_adapter(Any if type_hint is None else type_hint)
        return adapter.validate_json(payload.data, extra=None if strict else "ignore")


_ENCODING_CONVERTERS = tuple(
    TolerantJSONConverter() if isinstance(one, JSONPlainPayloadConverter) else one
    for one in DefaultPayloadConverter.default_encoding_payload_converters
)


class TolerantPayloadConverter(CompositePayloadConverter):
    """Temporal's own converters with ours for JSON.

    The SDK makes one for every workflow task; they share what each knows of the types it has met.
    """

    def __init__(self) -> None:
        super().__init__(*_ENCODING_CONVERTERS)


DATA_CONVERTER = dataclasses.replace(
    DataConverter.default, payload_converter_class=TolerantPayloadConverter
)
