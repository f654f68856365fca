"""Logs as events: one JSON object a line, or coloured text on a terminal; trace ids on each."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from router import trace
from router.settings import Operation

Event = MutableMapping[str, Any]


def configure(operation: Operation) -> None:
    """Once per process. Logs go to standard error; libraries' own records join them from warning on."""
    level = logging.getLevelNamesMapping()[operation.log_level.upper()]
    text = operation.log_format == "text" or (
        operation.log_format == "auto" and sys.stderr.isatty()
    )
    shown = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, shown],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=shown)
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _with_trace(_: object, __: str, event: Event) -> Event:
    if (trace_id := trace.current_id()) is not None:
        event["trace_id"] = trace_id
    return event
