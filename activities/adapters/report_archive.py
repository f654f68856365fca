"""Post-mortems as files, in the directory that the plan names."""

import os
import tempfile
from dataclasses import dataclass
from errno import EPERM
from pathlib import Path

from activities.contract.errors import ArchiveUnwritableError
from sluice.rollout.engine.state import State

_FILE_MODE = 0o644


@dataclass(frozen=True)
class FileArchive:
    """Writes below ``root`` only, also when a symbolic link leads out of it."""

    root: Path = Path()

    def write(self, state: State, name: str, text: str) -> str:
        """Write one file atomically: readers see the old one or the whole new one.

        Raises:
            ArchiveUnwritableError: transient; names the directory.
        """
        directory = self.root / state.plan.report_directory
        try:
            self._require_below_root(directory)
            directory.mkdir(parents=True, exist_ok=True)
            _write_atomically(directory / name, text)
        except OSError as error:
            raise ArchiveUnwritableError(
                f"the report can't be written to {directory}: {error.strerror or error}; "
                "make it writable, or change report_directory"
            ) from error
        return str(directory / name)

    def _require_below_root(self, directory: Path) -> None:
        root, target = self.root.resolve(), directory.resolve()
        if not target.is_relative_to(root):
            raise PermissionError(EPERM, f"it leads to {target}, outside of {root}")


def _write_atomically(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp lets only its owner read; reports are for everybody.
        Path(temporary).chmod(_FILE_MODE)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
