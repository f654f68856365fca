"""What the doctor found: one line each."""

from dataclasses import dataclass
from typing import Literal

FindingLevel = Literal["good", "warn", "bad"]
GOOD: FindingLevel = "good"
BAD: FindingLevel = "bad"


@dataclass(frozen=True)
class DoctorFinding:
    """``about`` names the part; ``text`` says how it is, and what to do when it isn't well."""

    subject: str
    level: FindingLevel
    message: str
