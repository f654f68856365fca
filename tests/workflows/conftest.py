"""One time-skipping server per test: their clocks must not meet."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from rehearsal.skipping import time_skipping


@pytest.fixture
async def env() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as environment:
        yield environment
