"""Where the programs of the servers are: in Python packages, or on the PATH."""

import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from sluice.stack.errors import MissingProgramError

INSTALL_STACK = "pip install 'sluice[stack]'"
INSTALL_PROMETHEUS = "apt-get install prometheus"


def find_executable(name: str, install: str = INSTALL_STACK) -> str:
    """The path of an executable of our environment or of the PATH.

    Raises MissingProgramError, which names the command that installs it.
    """
    scripts = sysconfig.get_path("scripts")
    found = shutil.which(name, path=scripts) or shutil.which(name)
    if found is None:
        raise MissingProgramError(name, install)
    return found


def package_file(package: str, relative: str) -> str:
    """The path of a file that a package carries, without importing the package.

    Raises MissingProgramError when package or file are missing.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / relative).exists():
            return str(path)
    raise MissingProgramError(f"{package} ({relative})", INSTALL_STACK)
