"""The behavior of a metric in rehearsals: the kind of signal, and its typical value."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from sluice.rollout.model import Model
from sluice.rollout.units import Threshold


class SignalKind(StrEnum):
    """The kinds of signals that a rehearsal generates."""

    ERROR_RATE = "error_rate"
    SUCCESS_RATE = "success_rate"
    LATENCY = "latency"
    REWARD = "reward"
    REQUESTS = "requests"
    USERS = "users"
    GAUGE = "gauge"
    MEMORY = "memory"
    QUEUE = "queue"
    HIT_RATE = "hit_rate"
    COMPLAINTS = "complaints"
    DEPENDENCY_ERRORS = "dependency_errors"
    HEARTBEAT = "heartbeat"
    UP = "up"


class MetricModel(Model):
    """The signal that a metric resembles. ``typical``: its healthy value, None to infer it."""

    kind: SignalKind
    typical: Annotated[Threshold, Field(gt=0)] | None = None


def _kind_to_model(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


AnyMetricModel = Annotated[MetricModel, BeforeValidator(_kind_to_model)]
"""A model, or only its kind."""
