"""The installed distribution: its extras, its version, and the data files that it carries."""

import json
import re
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "sluice"
_INSTALLED_DATA = Path(__file__).parent / "data"
_CHECKOUT = Path(__file__).parents[1]


def data_file(relative: str) -> Path:
    """Return the path of a file or folder such as ``plans/demo.yaml``.

    A wheel carries it below ``sluice/data``; a checkout has it at its root.

    Raises:
        FileNotFoundError: neither place has it.
    """
    for folder in (_INSTALLED_DATA, _CHECKOUT):
        if (path := folder / relative).exists():
            return path
    raise FileNotFoundError(
        f"{relative} is not part of this installation; reinstall {DISTRIBUTION}"
    )


def version() -> str:
    """Return the version of the installed distribution."""
    return metadata.version(DISTRIBUTION)


def install_command(extra: str) -> str:
    """Return the pip command that adds ``extra``, from the place that Sluice itself came from.

    The place is pip's own record of a direct install (PEP 610); without one it is the index.
    """
    origin = json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    url = origin.get("url", DISTRIBUTION).removeprefix("file://")
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"pip install {editable}'{url}[{extra}]'"


def missing_packages(extra: str) -> list[str]:
    """Return the distributions that ``extra`` asks for and this environment lacks."""
    return sorted(name for name in _packages_of(extra) if not _is_installed(name))


def _packages_of(extra: str) -> set[str]:
    names: set[str] = set()
    for line in metadata.requires(DISTRIBUTION) or []:
        requirement, _, marker = line.partition(";")
        if not re.search(rf"""extra == ['"]{extra}['"]""", marker):
            continue
        name, nested = _split_requirement(requirement)
        if name == DISTRIBUTION:
            names |= {package for nested_extra in nested for package in _packages_of(nested_extra)}
        else:
            names.add(name)
    return names


def _split_requirement(requirement: str) -> tuple[str, list[str]]:
    """Return the name and the extras of ``name[extra,…]>=1``."""
    match = re.match(r"([\w.-]+)(?:\[([^\]]*)\])?", requirement.strip())
    assert match is not None  # noqa: S101  metadata.requires gives valid requirements only
    return match[1], [extra.strip() for extra in (match[2] or "").split(",") if extra]


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
