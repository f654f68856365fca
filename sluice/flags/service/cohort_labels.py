"""The label of the cohorts in a service's metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sluice.flags.errors import InvalidFlagError
from sluice.flags.service.counted_user import OTHER_TRAFFIC, Cohort

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE = re.compile(r"[A-Za-z0-9_.:/-]+")
TAKEN_LABELS = frozenset(("flag", "outcome", "nth", "edge", "since", "le", "reason"))


@dataclass(frozen=True, slots=True)
class CohortLabels:
    """A label and its values for both cohorts, as `cohorts:` of a plan names them."""

    label: str = "cohort"
    treatment: str = "treatment"
    control: str = "control"

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.label) or self.label in TAKEN_LABELS:
            raise InvalidFlagError(
                f"cohort label {self.label!r}: use letters, digits and _, and none of "
                f"{', '.join(sorted(TAKEN_LABELS))}"
            )
        for cohort in (self.treatment, self.control):
            if not _VALUE.fullmatch(cohort):
                raise InvalidFlagError(
                    f"cohort value {cohort!r}: use letters, digits and any of _ . : / -"
                )
        if self.treatment == self.control:
            raise InvalidFlagError(
                f"both cohorts have the value {self.control!r}; they must differ"
            )
        if OTHER_TRAFFIC in (self.treatment, self.control):
            raise InvalidFlagError(
                f"cohort value {OTHER_TRAFFIC!r} is that of whitelisted users; use another"
            )

    def value(self, cohort: Cohort) -> str:
        """Return the label's value of a cohort."""
        return self.treatment if cohort == "treatment" else self.control


DEFAULT_LABELS = CohortLabels()
"""The label of the router's metrics, and of a service's unless it names another."""
