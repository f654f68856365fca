"""One time-skipping server per test: their clocks must not meet."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from sluice.rehearsal.runner.time_skipping_server import time_skipping_server


@pytest.fixture
async def env() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping_server() as environment:
        yield environment
