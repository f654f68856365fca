"""The findings of ``sluice doctor``, one line each."""

from dataclasses import dataclass
from typing import Literal

FindingLevel = Literal["good", "warn", "bad"]
GOOD: FindingLevel = "good"
BAD: FindingLevel = "bad"
WARN: FindingLevel = "warn"


@dataclass(frozen=True)
class DoctorFinding:
    """The state of a part (``subject``), and the repair when it is bad."""

    subject: str
    level: FindingLevel
    message: str
