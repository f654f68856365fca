"""Temporal's time-skipping server, with our search attributes."""

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

from sluice.rehearsal.errors import ServerFailedError
from sluice.stack.executables import find_executable
from sluice.worker.payload_converter import DATA_CONVERTER
from workflows import temporal_ui


@asynccontextmanager
async def time_skipping_server(
    runtime: Runtime | None = None,
) -> AsyncIterator[WorkflowEnvironment]:
    """Start a server; its clock runs only while a client waits for a result.

    ``runtime`` is the SDK's (None: the default one).

    Raises:
        MissingProgramError: the server is not installed.
        ServerFailedError: it does not start.
    """
    binary = find_executable("temporal-test-server")
    with tempfile.TemporaryDirectory(prefix="sluice-time-") as folder:
        async with await _start_server(binary, Path(folder), runtime) as environment:
            await _register_search_attributes(environment)
            yield environment


async def _start_server(binary: str, folder: Path, runtime: Runtime | None) -> WorkflowEnvironment:
    log = folder / "log"
    try:
        return await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=_write_log_wrapper(binary, folder / "server", log),
            data_converter=DATA_CONVERTER,
            runtime=runtime,
        )
    except RuntimeError as error:  # the SDK raises it for every failure
        log_lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        lines = "\n".join([f"Temporal's time-skipping server did not start: {error}", *log_lines])
        raise ServerFailedError(lines) from error


def _write_log_wrapper(binary: str, script: Path, log: Path) -> str:
    """Write a program that starts the server with its output in a file.

    The SDK gives the server our own output, on which it prints a trace of each interrupted call. On
    a file system without execution rights, that output remains.
    """
    words = f'exec {shlex.quote(binary)} "$@" >{shlex.quote(str(log))} 2>&1'
    script.write_text(f"#!/bin/sh\n{words}\n", encoding="utf-8")
    script.chmod(0o700)
    return str(script) if os.access(script, os.X_OK) else binary


async def _register_search_attributes(environment: WorkflowEnvironment) -> None:
    await environment.client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace="default",
            search_attributes={
                temporal_ui.FLAG.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                temporal_ui.STAGE.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                temporal_ui.STATUS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                temporal_ui.PERCENTAGE.name: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
            },
        )
    )


def errors_only_runtime() -> Runtime:
    """Return a runtime that logs errors only: the SDK warns of each feature that the server lacks."""
    only_errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=only_errors)))
