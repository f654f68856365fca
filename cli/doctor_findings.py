"""What the doctor found: one line each."""

from dataclasses import dataclass
from typing import Literal

GoodOrBad = Literal["good", "warn", "bad"]
GOOD: GoodOrBad = "good"
BAD: GoodOrBad = "bad"


@dataclass(frozen=True)
class Finding:
    """``about`` names the part; ``text`` says how it is, and what to do when it isn't well."""

    about: str
    state: GoodOrBad
    text: str
