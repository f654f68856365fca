"""Settings of learning that rarely change, and the addresses of its state in Redis."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """Limits and periods; the guide's own settings are parameters of OnlineLearningRouter.

    ``training_cohorts``: feedback of other cohorts is logged for evaluation and not learned. So the
    feedback count stays 0 at 0 % rollout, as in the guide's table.
    """

    epsilon: float = 0.05
    """Share of uniform exploration in ``select``; it keeps every propensity above zero."""
    training_cohorts: frozenset[str] = frozenset({"treatment"})
    decision_seconds: float = 3_600.0
    """Time after the answer in which its feedback is learned."""
    late_seconds: float = 1_800.0
    """Further time in which such feedback is ``late``; after it, the id is ``unknown``."""
    lease_seconds: float = 3.0
    """A learner that does not renew its lock within this time is replaced."""
    poll_seconds: float = 1.0
    """The period of reading the version again, in case a push was lost."""
    retry_seconds: float = 0.25
    queue_max: int = 100_000
    """Entries in the feedback queue beyond which feedback is refused."""
    user_feedback_per_minute: int = 10
    """Feedback of one user that counts and trains in a minute; more is ``capped``."""
    user_complaints_per_hour: int = 1
    """Complaints of one user that count in an hour."""
    dead_letters_max: int = 10_000
    log_max: int = 20_000
    """Entries kept for off-policy evaluation."""
    history_max: int = 20
    """Newest versions stored for ``rollback_weights``, besides the first (the warm start)."""
    seed: int | None = None
    """The seed of the exploration's random numbers; None takes the system's entropy."""


@dataclass(frozen=True, slots=True)
class LearningKeys:
    """Redis keys of one environment (docs/contracts.md)."""

    environment: str = "default"

    def _key(self, name: str) -> str:
        return f"sluice:{self.environment}:{name}"

    @property
    def feedback(self) -> str:
        return self._key("feedback")

    @property
    def dead_letters(self) -> str:
        return self._key("feedback:dead")

    @property
    def counters(self) -> str:
        """Hash: the counts of accepted, duplicate, late and unknown feedback."""
        return self._key("feedback:counters")

    def user_signals(self, period: str, user: str) -> str:
        """Counter of one user's signals in a period."""
        return self._key(f"feedback:user:{period}:{user}")

    def seen(self, signal: str, query_id: str) -> str:
        """Return the key that marks a counted complaint, or counted feedback that is not learned."""
        return self._key(f"{signal}:seen:{query_id}")

    @property
    def weights(self) -> str:
        return self._key("learning:weights")

    @property
    def history(self) -> str:
        """Hash: version → weights document."""
        return self._key("learning:history")

    @property
    def changes(self) -> str:
        return self._key("learning:changes")

    @property
    def lock(self) -> str:
        return self._key("learning:lock")

    @property
    def fence(self) -> str:
        """Counter: the last fencing token."""
        return self._key("learning:fence")

    @property
    def log(self) -> str:
        """Capped stream: context, arm, propensity and reward of every feedback."""
        return self._key("learning:log")

    def decision(self, query_id: str) -> str:
        return self._key(f"decision:{query_id}")
