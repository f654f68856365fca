"""The trace of one query: seconds per phase, decisions, and parts that failed.

One trace a query, found through a context variable, so a backend can note the filter it used
without every signature in between knowing of it. Code outside of a query may note and time freely:
without a trace nothing is kept.
"""

import math
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

PHASES = ("cache", "wait", "understand", "choose", "rewrite", "search", "correct", "store_decision")
"""In the order of a query; ``wait`` is for a turn (``router.overload.admission``), ``search`` spans all backends and the fusion, ``correct`` later tries."""


class SpanTracer(Protocol):
    """Port that turns phases into spans: OpenTelemetry's tracer, when configured."""

    def start_as_current_span(self, name: str) -> AbstractContextManager[Any]: ...


@dataclass(slots=True)
class Trace:
    """``id`` is W3C's: 32 lower-case hexadecimal digits. ``failures``: optional parts gone without."""

    id: str = field(default_factory=lambda: secrets.token_hex(16))
    seconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str | int] = field(default_factory=dict)  # for logs and spans
    deadline: float = math.inf  # time.monotonic() by which the answer must be there

    @property
    def milliseconds(self) -> dict[str, float]:
        return {name: round(spent * 1000, 3) for name, spent in self.seconds.items()}


_current: ContextVar[Trace | None] = ContextVar("sluice_trace", default=None)
_span_tracer: list[SpanTracer] = []


def set_span_tracer(tracer: SpanTracer) -> None:
    """Once per process, at its start."""
    _span_tracer[:] = [tracer]


@contextmanager
def open_trace(trace_id: str | None = None) -> Iterator[Trace]:
    """Open a trace for the query inside, or reuse the open one."""
    trace = _current.get()
    if trace is not None:
        yield trace
        return
    trace = Trace(trace_id) if trace_id else Trace()
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


class time_phase:  # noqa: N801 - a context manager; as a generator it takes twice the time
    """Add the time inside to the phase; a name of ``PHASES``."""

    __slots__ = ("_name", "_span", "_started")

    def __init__(self, name: str) -> None:
        self._name = name
        self._span: AbstractContextManager[Any] | None = None

    def __enter__(self) -> None:
        if _span_tracer and _current.get() is not None:
            self._span = _span_tracer[0].start_as_current_span(self._name)
            self._span.__enter__()
        self._started = time.perf_counter()

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401 - as the protocol has it
        add_phase_seconds(self._name, time.perf_counter() - self._started)
        if self._span is not None:
            self._span.__exit__(*error)


def add_phase_seconds(name: str, seconds: float) -> None:
    """Add to the time of a phase, or of a part of one (``search.graph``)."""
    trace = _current.get()
    if trace is not None:
        trace.seconds[name] = trace.seconds.get(name, 0.0) + seconds


def add_note(name: str, value: object) -> None:
    """Remember a decision for those who ask why."""
    trace = _current.get()
    if trace is not None:
        trace.notes[name] = value


def record_failure(part: str, reason: str) -> None:
    """Record a missing optional part (language model, cache): the answer is degraded."""
    trace = _current.get()
    if trace is not None:
        trace.failures[part] = reason


def set_attributes(**attributes: str | int) -> None:
    """Facts about the request for its log line and its span."""
    trace = _current.get()
    if trace is not None:
        trace.attributes.update(attributes)


def failures() -> dict[str, str]:
    """Return the parts missing so far from the current query."""
    trace = _current.get()
    return trace.failures if trace else {}


def remaining_seconds() -> float:
    """Seconds until the query under way must be answered; infinite outside of one."""
    trace = _current.get()
    return trace.deadline - time.monotonic() if trace else math.inf


def require_time() -> None:
    """Raise TimeoutError when the deadline of the query under way has passed.

    Work on a thread cannot be cancelled, so its loops call this.
    """
    if remaining_seconds() < 0:
        raise TimeoutError("the query's deadline passed")


def current_trace_id() -> str | None:
    """Return the trace id of the current query."""
    trace = _current.get()
    return trace.id if trace else None
