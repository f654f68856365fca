"""The label of treatment and control in a team's metrics."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sluice.rollout.model import Model

Cohort = Literal["treatment", "control", "all"]
COHORTS: tuple[Cohort, ...] = ("treatment", "control", "all")
EVERY_VALUE = ".+"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE = re.compile(r"[A-Za-z0-9_.:/ (),;=@%#&~!<>-]+")
_SPECIAL = re.compile(r"[.()]")


def _require_label_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r}: a label of Prometheus has letters, digits and _ only")
    return text


def _require_label_value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise ValueError(
            f"{text!r}: write one value as the series have it; quotes, backslashes and the signs of "
            "regular expressions such as | and * are not supported"
        )
    return text


LabelName = Annotated[
    str,
    Field(max_length=100, json_schema_extra={"pattern": f"^{_NAME.pattern}$"}),
    AfterValidator(_require_label_name),
]
LabelValue = Annotated[
    str,
    Field(max_length=100, json_schema_extra={"pattern": f"^{_VALUE.pattern}$"}),
    AfterValidator(_require_label_value),
]


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
        return _SPECIAL.sub(r"[\g<0>]", self.value(cohort))

    def value(self, cohort: Cohort) -> str:
        """Return the label's value; ``all`` has none of its own."""
        return {"treatment": self.treatment, "control": self.control, "all": EVERY_VALUE}[cohort]

    @property
    def matcher(self) -> str:
        """The matcher to write in a query."""
        return f'{self.label}=~"$cohort"'


ROUTER_COHORTS = CohortMapping()
"""The label of the router's and SluiceMiddleware's metrics."""
