"""Temporal's time-skipping server, knowing our search attributes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment

from activities.wire import CONVERTER
from stack.programs import program
from workflows import presenting


@asynccontextmanager
async def time_skipping(runtime: Runtime | None = None) -> AsyncIterator[WorkflowEnvironment]:
    """Start one; its clock runs only while somebody waits for a result.

    ``runtime`` is the SDK's (None: the process's own).

    Raises:
        MissingProgramError: the server isn't installed.
    """
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=program("temporal-test-server"),
        data_converter=CONVERTER,
        runtime=runtime,
    )
    async with environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace="default",
                search_attributes={
                    presenting.FLAG.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                    presenting.STAGE.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                    presenting.STATUS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                    presenting.PERCENTAGE.name: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
                },
            )
        )
        yield environment


def quiet() -> Runtime:
    """Only errors: the test server lacks features that the SDK would warn of each time."""
    only_errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=only_errors)))
