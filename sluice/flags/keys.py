"""The Redis keys of the flags (docs/contracts.md, 'Redis keys')."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FlagKeys:
    """All names of one environment; `floor` holds the newest version a reader missed, as JSON."""

    environment: str = "default"

    @property
    def document(self) -> str:
        return f"sluice:{self.environment}:flags"

    @property
    def changes(self) -> str:
        return f"{self.document}:changes"

    @property
    def audit(self) -> str:
        return f"{self.document}:audit"

    @property
    def watermark(self) -> str:
        return f"{self.document}:watermark"

    @property
    def write_probe(self) -> str:
        """A key that never exists: deleting it shows whether the store takes writes."""
        return f"{self.document}:write-probe"

    @property
    def processes(self) -> str:
        return f"sluice:{self.environment}:processes"
