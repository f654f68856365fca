"""Online learning: a bandit whose weights every router process shares (rollout guide, phase 4)."""

from router.learning.context import DIMENSION, INTENTS, build_context
from router.learning.decision_record import Decision
from router.learning.errors import (
    InvalidContextError,
    InvalidFeedbackError,
    LearningError,
    NoEvidenceError,
    QueueFullError,
    UnknownVersionError,
    UpdateRefusedError,
    VersionConflictError,
    WeightsError,
)
from router.learning.feedback import UserFeedback, reward
from router.learning.linucb import Choice, LinUCB, Observation
from router.learning.online_router import FeedbackReceipt, OnlineLearningRouter
from router.learning.options import LearningKeys, LearningOptions
from router.learning.snapshot import LearningObserver

__all__ = [
    "DIMENSION",
    "INTENTS",
    "Choice",
    "Decision",
    "FeedbackReceipt",
    "InvalidContextError",
    "InvalidFeedbackError",
    "LearningError",
    "LearningKeys",
    "LearningObserver",
    "LearningOptions",
    "LinUCB",
    "NoEvidenceError",
    "Observation",
    "OnlineLearningRouter",
    "QueueFullError",
    "UnknownVersionError",
    "UpdateRefusedError",
    "UserFeedback",
    "VersionConflictError",
    "WeightsError",
    "build_context",
    "reward",
]
