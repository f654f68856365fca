"""Everything that can go wrong in learning, as one flat tree. The message says the fix.

LearningError
├── InvalidFeedbackError    the caller sent a value that cannot be scored (HTTP 422)
├── InvalidContextError     the caller's routing context cannot be used
├── QueueFullError          the learner is not keeping up; try again later (HTTP 503)
├── UpdateRefusedError      an observation would damage the weights; they are untouched
├── WeightsError            the stored weights cannot be read or belong to another set-up
├── UnknownVersionError     no such version to roll back to
├── VersionConflictError    somebody else published first; read again
└── NoEvidenceError         the propensity log cannot support an estimate
"""


class LearningError(Exception):
    """Base of all errors of ``router.learning``."""


class InvalidFeedbackError(LearningError, ValueError):
    """A field of the feedback has a value that cannot be scored."""

    def __init__(self, name: str, value: object, fix: str) -> None:
        super().__init__(f"feedback field {name!r} is {value!r}: {fix}")
        self.field = name


class InvalidContextError(LearningError, ValueError):
    """The context is not a finite vector of the model's dimension."""


class QueueFullError(LearningError):
    """The feedback queue is at its limit; nothing was stored."""


class UpdateRefusedError(LearningError, ValueError):
    """NaN, infinite, singular or exploding: the weights were left as they were."""


class WeightsError(LearningError):
    """The stored weights are damaged, or of other arms or another dimension."""


class UnknownVersionError(LearningError, LookupError):
    """The asked version is not among the kept ones."""


class VersionConflictError(LearningError):
    """The weights changed between reading and writing."""


class NoEvidenceError(LearningError):
    """The log holds nothing to estimate from."""
