"""Temporal's time-skipping server, knowing our search attributes."""

import os
import shlex
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment

from activities.wire import CONVERTER
from rehearsal.errors import ServerFailedError
from stack.programs import program
from workflows import presenting


@asynccontextmanager
async def time_skipping(runtime: Runtime | None = None) -> AsyncIterator[WorkflowEnvironment]:
    """Start one; its clock runs only while somebody waits for a result.

    ``runtime`` is the SDK's (None: the process's own).

    Raises:
        MissingProgramError: the server isn't installed.
        ServerFailedError: it doesn't start.
    """
    binary = program("temporal-test-server")
    with tempfile.TemporaryDirectory(prefix="sluice-time-") as folder:
        async with await _started(binary, Path(folder), runtime) as environment:
            await _knows_our_attributes(environment)
            yield environment


async def _started(binary: str, folder: Path, runtime: Runtime | None) -> WorkflowEnvironment:
    log = folder / "log"
    try:
        return await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=_into_log(binary, folder / "server", log),
            data_converter=CONVERTER,
            runtime=runtime,
        )
    except RuntimeError as error:  # the SDK's, whatever went wrong
        told = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        lines = "\n".join([f"Temporal's time-skipping server did not start: {error}", *told])
        raise ServerFailedError(lines) from error


def _into_log(binary: str, script: Path, log: Path) -> str:
    """A program that starts the server with its output in a file.

    The SDK lets it write to our own, and the server prints a trace of each call that the end of a
    rehearsal cuts off. Where nothing in the folder may be executed it has to be heard.
    """
    words = f'exec {shlex.quote(binary)} "$@" >{shlex.quote(str(log))} 2>&1'
    script.write_text(f"#!/bin/sh\n{words}\n", encoding="utf-8")
    script.chmod(0o700)
    return str(script) if os.access(script, os.X_OK) else binary


async def _knows_our_attributes(environment: WorkflowEnvironment) -> None:
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


def quiet() -> Runtime:
    """Only errors: the test server lacks features that the SDK would warn of each time."""
    only_errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=only_errors)))
