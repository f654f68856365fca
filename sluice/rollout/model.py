"""The base of every value object of the rollout."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen, and a field that nobody knows is a mistake, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")
