"""Online learning: a bandit whose weights every router process shares (rollout guide, phase 4)."""

from router.learning.context import DIMENSION, INTENTS, project
from router.learning.decisions import Decision
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
from router.learning.online import OnlineLearningRouter, Receipt
from router.learning.options import LearningKeys, LearningOptions
from router.learning.published import LearningObserver

__all__ = [
    "DIMENSION",
    "INTENTS",
    "Choice",
    "Decision",
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
    "Receipt",
    "UnknownVersionError",
    "UpdateRefusedError",
    "UserFeedback",
    "VersionConflictError",
    "WeightsError",
    "project",
    "reward",
]
