"""Modules imported when a test first uses them.

Each process of ``make test`` collects every test file, though it runs a third of them: what takes seconds
to import, and only one file needs, would be imported by all.
"""

from importlib import import_module
from typing import Any


class LazyModule:
    """Proxy of the module ``name``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401 - whatever the module has
        if attribute.startswith("_"):  # pytest reads __wrapped__ and _mock_name of each global
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)
