"""Logs as events: one JSON object a line, or coloured text on a terminal; trace ids on each."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from router.observability import trace

Event = MutableMapping[str, Any]


def configure_logging(level_name: str, log_format: str) -> None:
    """Send logs to standard error, once per process.

    ``log_format`` is ``text``, ``json`` or ``auto`` (text on a terminal). Records of libraries appear
    from the level WARNING on.
    """
    level = logging.getLevelNamesMapping()[level_name.upper()]
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _add_trace_id(_: object, __: str, event: Event) -> Event:
    if (trace_id := trace.current_trace_id()) is not None:
        event["trace_id"] = trace_id
    return event
