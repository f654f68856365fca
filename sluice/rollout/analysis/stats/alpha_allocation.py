"""One probability of a false rollback for the whole rollout, and who has how much of it.

The chance that *any* of a rollout's statistical gates ever fails without cause is at most the sum
of their α (union bound), however often each is looked at. A metric whose state is carried from
stage to stage needs one entry; one that starts at zero in each stage needs one for each.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model

Alpha = Annotated[float, Field(gt=0, lt=1)]


class AlphaClaim(Model):
    """A gate's part. ``spent``: it has been judged at least once."""

    name: str = Field(min_length=1)
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    spent: bool = False


class AlphaBudget(Model):
    """``total`` is split over the claims in proportion to their weights."""

    total: Alpha = 0.05
    claims: Annotated[tuple[AlphaClaim, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _require_unique_names(self) -> Self:
        names = [claim.name for claim in self.claims]
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(duplicates))}: each claim may be named once")
        return self

    @classmethod
    def even(cls, total: float, metrics: tuple[str, ...], stages: tuple[str, ...] = ()) -> Self:
        """Equal parts for each metric or, where stages are given, for ``stage/metric``."""
        names = [f"{stage}/{metric}" for stage in stages for metric in metrics] or metrics
        return cls(total=total, claims=tuple(AlphaClaim(name=name) for name in names))

    def alpha(self, name: str) -> float:
        """Return the part of the claim ``name``; KeyError, with the known names, when it is unknown."""
        for claim in self.claims:
            if claim.name == name:
                return self.total * claim.weight / sum(entry.weight for entry in self.claims)
        raise KeyError(f"{name}: not in the budget; known: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(claim.name for claim in self.claims)

    def spend(self, name: str) -> Self:
        """Note that ``name`` has been judged; a second time costs nothing."""
        self.alpha(name)
        claims = tuple(
            claim.model_copy(update={"spent": claim.spent or claim.name == name})
            for claim in self.claims
        )
        return self.model_copy(update={"claims": claims})

    @property
    def spent(self) -> float:
        """The chance of a false rollback that the gates judged so far may have caused."""
        return sum(self.alpha(claim.name) for claim in self.claims if claim.spent)

    def text(self) -> str:
        """For ``status``: how much of α is spent, and by whom."""
        names = ", ".join(f"{c.name} {self.alpha(c.name):.2g}" for c in self.claims if c.spent)
        return f"α spent {self.spent:.2g} of {self.total:g}" + (f" ({names})" if names else "")
