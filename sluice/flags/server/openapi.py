"""The server's OpenAPI document: OFREP's contract for our answers, and our own endpoints."""

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

_PATH = Path(__file__).with_name("openapi.yaml")


@cache
def openapi_document() -> dict[str, Any]:
    """Return the document; callers must not change it."""
    document: dict[str, Any] = yaml.safe_load(_PATH.read_text("utf-8"))
    document["info"]["version"] = version("sluice")
    return document
