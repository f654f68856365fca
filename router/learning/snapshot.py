"""The snapshot that a process serves from, with its numbers about learning."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from router.learning.weights import Weights


class LearningObserver(Protocol):
    """A receiver of learning events; its methods run on the event loop and must be quick and not raise."""

    def on_feedback(self, outcome: str, cohort: str, reward: float | None) -> None:
        """Receive one feedback; ``outcome`` as in ``FeedbackReceipt``."""

    def on_batch(self, learned: int, version: int) -> None:
        """Receive a batch that this process published."""

    def on_error(self, operation: str, error: Exception) -> None:
        """Receive the failure of a background step, which is retried."""


class NullObserver:
    """An observer that ignores all events."""

    def on_feedback(self, outcome: str, cohort: str, reward: float | None) -> None:
        """Ignored."""

    def on_batch(self, learned: int, version: int) -> None:
        """Ignored."""

    def on_error(self, operation: str, error: Exception) -> None:
        """Ignored."""


@dataclass(slots=True)
class LearningSnapshot:
    """Shared by the tasks of one process, all on one event loop.

    Timestamps are seconds since the epoch, 0.0 for never. ``heartbeat_timestamp`` is the last
    iteration of this process's learning task, as the learner or a candidate. It does not change
    during a pause.
    """

    weights: Weights
    observer: LearningObserver
    queue_size: int = 0
    dead_letters: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
    is_learner: bool = False
    is_paused: bool = False
    errors: int = 0
    heartbeat_timestamp: float = 0.0
    last_batch_timestamp: float = 0.0
    stored_version: int = 0

    def install_if_newer(self, weights: Weights) -> bool:
        """Install newer weights; older ones never replace newer."""
        if weights.version <= self.weights.version:
            return False
        self.weights = weights
        return True

    def record_heartbeat(self) -> None:
        self.heartbeat_timestamp = time.time()

    def record_error(self, operation: str, error: Exception) -> None:
        self.errors += 1
        self.observer.on_error(operation, error)
