"""The programs of the servers, found in Python packages or on the PATH."""

import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from sluice.installation import install_command
from sluice.stack.errors import MissingProgramError

INSTALL_PROMETHEUS = "apt-get install prometheus"


def find_executable(name: str, install: str = "") -> str:
    """Return the path of a program of this environment or of the PATH.

    Raises:
        MissingProgramError: it names ``install``, or the pip command of the extra ``stack``.
    """
    scripts = sysconfig.get_path("scripts")
    path = shutil.which(name, path=scripts) or shutil.which(name)
    if path is None:
        raise MissingProgramError(name, install or install_command("stack"))
    return path


def package_file(package: str, relative: str) -> str:
    """Return the path of a file that a package carries, without importing the package.

    Raises:
        MissingProgramError: the package or the file is missing.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / relative).exists():
            return str(path)
    raise MissingProgramError(f"{package} ({relative})", install_command("stack"))
