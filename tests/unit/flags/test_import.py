"""The client stays small: a service that reads a flag loads no more than that takes."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "httpx", "structlog", "prometheus_client", "temporalio", "fastapi")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import sluice.flags", (*HEAVY, "pydantic", "redis", "asyncio")),
        ("from sluice.flags import FlagReader, SluiceProvider, announce", HEAVY),
        ("from sluice.flags import MemoryFlagStore, FeatureFlags", (*HEAVY, "redis")),
    ],
)
def test_an_import_loads_only_what_it_needs(statement: str, absent: tuple[str, ...]) -> None:
    code = f"{statement}; import sys; print(*(m for m in {absent!r} if m in sys.modules))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True)  # noqa: S603  our own code
    assert loaded.split() == []
