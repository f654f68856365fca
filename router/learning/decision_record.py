r"""The routing decision, stored under ``decision:{query_id}`` until its feedback comes.

The value is ``"open {cohort}\n{json}"``. Accepted feedback changes it to ``"used {cohort}"``, so the
learner can learn from a decision only once.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from router.learning.errors import LearningError
from router.learning.linucb import Choice, Vector

OPEN_STATE = "open"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision for a query: its context of shape (d,), the arm and the arm's probability."""

    arm: str
    propensity: float
    context: Vector
    cohort: str
    weights_version: int = 0

    @classmethod
    def from_choice(cls, context: ArrayLike, choice: Choice, cohort: str) -> "Decision":
        vector = np.asarray(context, dtype=np.float64)
        return cls(choice.arm, choice.propensity, vector, cohort, choice.weights_version)

    def to_json(self) -> str:
        document = {
            "arm": self.arm,
            "propensity": self.propensity,
            "context": encode_vector(self.context),
            "cohort": self.cohort,
            "weights_version": self.weights_version,
        }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Decision":
        """Parse a decision. Raises LearningError when the text is not a complete decision."""
        try:
            document: Mapping[str, object] = json.loads(text)
            decision = cls(
                arm=str(document["arm"]),
                propensity=float(document["propensity"]),  # type: ignore[arg-type]  # a wrong type raises
                context=decode_vector(str(document["context"])),
                cohort=str(document["cohort"]),
                weights_version=int(document["weights_version"]),  # type: ignore[call-overload]  # as above
            )
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise LearningError(f"not a routing decision: {error!r}") from error
        if not (0.0 < decision.propensity <= 1.0 and math.isfinite(decision.context.sum())):
            raise LearningError("a decision needs a propensity in (0, 1] and a finite context")
        return decision

    def to_redis_value(self) -> str:
        """Return the value of the decision's Redis key. Raises LearningError."""
        if not self.cohort or len(self.cohort.split()) != 1:
            raise LearningError(f"cohort is {self.cohort!r}; use one word, such as 'treatment'")
        return f"{OPEN_STATE} {self.cohort}\n{self.to_json()}"


def encode_vector(values: Vector) -> str:
    """Encode as base64 of little-endian single precision.

    It takes half the memory of doubles and is precise enough for a context.
    """
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def decode_vector(text: str) -> Vector:
    """Decode a vector of shape (n,). Raises ValueError."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float64)
