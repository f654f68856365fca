"""One time-skipping server per test: their clocks must not meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from activities.wire import CONVERTER
from stack.programs import program
from workflows import presenting


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A time-skipping server that knows our search attributes."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=program("temporal-test-server"),
        data_converter=CONVERTER,
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


@pytest.fixture
async def env() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as environment:
        yield environment
