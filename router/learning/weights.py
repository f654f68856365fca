r"""The versioned weights document: one per environment, replaced whole.

It is stored as ``"{version} {crc32}\n{json}"``. The version comes first, so that a script or a poll
can read it without the rest. The checksum detects a damaged document.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from router.learning.errors import WeightsError
from router.learning.linucb import LinUCB, Vector

HEAD_BYTES = 32
"""The number of bytes, at the document's start, that contain its version."""
INITIAL_REWARD = 0.8
"""The expected reward of an arm without data, high enough that each arm gets tried."""


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """Feedback learned for an arm (a database, or a named set of them)."""

    n_pulls: int = 0
    reward_sum: float = 0.0

    def add_reward(self, reward: float) -> "ArmTotals":
        return ArmTotals(self.n_pulls + 1, self.reward_sum + reward)


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters over the life of the environment; a rollback of the weights keeps them."""

    batch_update_count: int = 0
    refused_updates: int = 0
    dead_letters: int = 0
    arms: Mapping[str, ArmTotals] = field(default_factory=dict)

    @property
    def feedback_count(self) -> int:
        return sum(arm.n_pulls for arm in self.arms.values())

    @property
    def avg_reward(self) -> float:
        """Return the mean reward; 0.0 before the first feedback."""
        return sum(arm.reward_sum for arm in self.arms.values()) / max(1, self.feedback_count)


@dataclass(frozen=True, slots=True)
class Weights:
    """An immutable snapshot: treat ``model`` as read-only and ``copy()`` it to learn."""

    version: int
    model: LinUCB
    totals: Totals = Totals()
    note: str = ""

    def encode(self) -> str:
        model = {
            "arms": self.model.arms,
            **{name: _encode_array(values) for name, values in self.model.to_arrays().items()},
        }
        totals = {
            "batch_update_count": self.totals.batch_update_count,
            "refused_updates": self.totals.refused_updates,
            "dead_letters": self.totals.dead_letters,
            "arms": {name: [t.n_pulls, t.reward_sum] for name, t in self.totals.arms.items()},
        }
        body = json.dumps({"note": self.note, "totals": totals, "model": model})
        return f"{self.version} {zlib.crc32(body.encode()):08x}\n{body}"

    @classmethod
    def decode(cls, text: str, alpha: float, epsilon: float) -> "Weights":
        """Decode weights; ``alpha`` and ``epsilon`` are the reader's settings. Raises WeightsError."""
        try:
            head, body = text.split("\n", 1)
            version, checksum = head.split(" ")
            if int(checksum, 16) != zlib.crc32(body.encode()):
                raise WeightsError("the stored weights are damaged (checksum); roll back")
            document = json.loads(body)
            model = _decode_model(document["model"], alpha, epsilon)
            totals = _decode_totals(document["totals"])
            return cls(int(version), model, totals, str(document["note"]))
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise WeightsError(f"the stored weights cannot be read: {error!r}") from error

    def require_shape(self, arms: Sequence[str], dimension: int) -> None:
        """Check the arms and the dimension. Raises WeightsError when either differs."""
        if self.model.arms != tuple(arms) or self.model.dimension != dimension:
            raise WeightsError(
                f"stored weights are for {self.model.arms} at dimension {self.model.dimension},"
                f" this router has {tuple(arms)} at {dimension}: use another environment, or"
                " delete the weights to start again"
            )


def optimistic_prior(arms: Sequence[str], dimension: int) -> LinUCB:
    """Return a model that expects INITIAL_REWARD of every arm, by the context's last slot (the bias)."""
    arrays = LinUCB(arms, dimension).to_arrays()
    arrays["theta"][:, -1] = INITIAL_REWARD
    return LinUCB.from_arrays(arms, arrays)


def parse_version(head: str) -> int:
    """Return the version in a document's first bytes; 0 for an empty document."""
    number = head.split(" ", 1)[0]
    return int(number) if number.isdigit() else 0


def _encode_array(values: Vector) -> dict[str, object]:
    data = base64.b64encode(values.astype("<f8").tobytes()).decode()
    return {"shape": values.shape, "data": data}


def _decode_model(document: Mapping[str, Any], alpha: float, epsilon: float) -> LinUCB:
    arrays = {
        name: np.frombuffer(
            base64.b64decode(document[name]["data"], validate=True), dtype="<f8"
        ).reshape(document[name]["shape"])
        for name in ("inverse", "b", "theta")
    }
    return LinUCB.from_arrays(document["arms"], arrays, alpha, epsilon=epsilon)


def _decode_totals(document: Mapping[str, Any]) -> Totals:
    return Totals(
        batch_update_count=int(document["batch_update_count"]),
        refused_updates=int(document["refused_updates"]),
        dead_letters=int(document["dead_letters"]),
        arms={name: ArmTotals(int(n), float(r)) for name, (n, r) in document["arms"].items()},
    )
