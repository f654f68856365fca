"""The label of treatment and control in a team's metrics."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sluice.rollout.model import Model

Cohort = Literal["treatment", "control", "all"]
COHORTS: tuple[Cohort, ...] = ("treatment", "control", "all")
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
LabelValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]+$", max_length=100)]
EVERY_VALUE = ".+"


class CohortMapping(Model):
    """The label of a metric by cohort, and its values for treatment and control."""

    label: LabelName = "cohort"
    treatment: LabelValue = "treatment"
    control: LabelValue = "control"

    @model_validator(mode="after")
    def _require_two_values(self) -> Self:
        if self.treatment == self.control:
            raise ValueError(
                f"treatment and control are both {self.control!r}: nothing would be compared; "
                "give each cohort the value that its series have"
            )
        return self

    def pattern(self, cohort: Cohort) -> str:
        """Return the regular expression that replaces ``$cohort``."""
        if cohort == "all":
            return EVERY_VALUE
        return self.value(cohort).replace(".", "[.]")

    def value(self, cohort: Cohort) -> str:
        """Return the label's value; ``all`` has none of its own."""
        return {"treatment": self.treatment, "control": self.control, "all": EVERY_VALUE}[cohort]

    @property
    def matcher(self) -> str:
        """The matcher to write in a query."""
        return f'{self.label}=~"$cohort"'


ROUTER_COHORTS = CohortMapping()
"""The label of the router's and SluiceMiddleware's metrics."""
