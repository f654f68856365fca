"""`ops/bootstrap` is quick when nothing is to do, and says what is missing where it can't help."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INPUTS = ("pyproject.toml", "uv.lock", ".python-version")
TOOLS = ("bash", "cat", "dirname", "env", "mkdir", "sha256sum")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a checkout with installed packages, on a machine with only a shell's tools."""
    for name in (*INPUTS, "ops/bootstrap"):
        target = tmp_path / "checkout" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for program in ("sluice", "python"):
        write_program(tmp_path / "checkout" / ".venv" / "bin", program)
    for tool in TOOLS:
        link_tool(tmp_path / "path", tool)
    write_stamp(tmp_path / "checkout")
    return tmp_path / "checkout"


def link_tool(folder: Path, tool: str) -> None:
    folder.mkdir(exist_ok=True)
    found = shutil.which(tool)
    assert found is not None
    (folder / tool).symlink_to(found)


def write_program(folder: Path, name: str, script: str = "exit 0") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
    (folder / name).chmod(0o755)


def write_stamp(checkout: Path) -> None:
    """Write bootstrap's stamp: the checksum of its inputs."""
    content = b"".join((checkout / name).read_bytes() for name in INPUTS)
    (checkout / ".venv" / ".bootstrap").write_text(
        f"{hashlib.sha256(content).hexdigest()}  -\n{checkout}\n"
    )


def run_bootstrap(checkout: Path, user: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own script
        [checkout / "ops" / "bootstrap"],
        env={"PATH": str(checkout.parent / "path")},
        user=user,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_an_up_to_date_checkout_prints_nothing(checkout: Path) -> None:
    write_program(checkout.parent / "path", "prometheus")
    done = run_bootstrap(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_prometheus_without_apt_says_where_to_get_it(checkout: Path) -> None:
    done = run_bootstrap(checkout)
    assert done.returncode == 1
    assert "prometheus is missing and apt-get is not available" in done.stderr
    assert "https://prometheus.io/download/" in done.stderr


def test_missing_prometheus_is_announced_then_installed(checkout: Path) -> None:
    path = checkout.parent / "path"
    write_program(path, "apt-get", 'echo "Unpacking"; echo "apt-get $*" >>"$0.log"')
    write_program(path, "sudo", 'exec "$@"')
    done = run_bootstrap(checkout)
    assert done.returncode == 0, done.stderr
    (announced,) = done.stderr.splitlines()
    assert "installing Debian's package prometheus" in announced
    _, installed = (path / "apt-get.log").read_text().splitlines()
    assert installed.startswith("apt-get install")
    assert installed.endswith(" prometheus")


def test_failing_apt_says_so_and_why(checkout: Path) -> None:
    path = checkout.parent / "path"
    write_program(path, "apt-get", "echo 'E: no space left' >&2; exit 100")
    write_program(path, "sudo", 'exec "$@"')
    done = run_bootstrap(checkout)
    assert done.returncode == 1
    assert "apt-get could not install prometheus" in done.stderr
    assert "E: no space left" in done.stderr


def test_changed_lock_installs_packages_again(checkout: Path) -> None:
    write_program(checkout.parent / "path", "prometheus")
    write_program(checkout.parent / "path", "uv", 'echo "uv $*"')
    (checkout / "uv.lock").write_text("version = 1\n")
    first, second = run_bootstrap(checkout), run_bootstrap(checkout)
    assert "uv sync --locked --all-extras" in first.stdout, first.stderr
    assert (second.returncode, second.stdout) == (0, "")


def test_an_interpreter_of_another_machine_is_replaced(checkout: Path) -> None:
    """A virtual environment's python is a link; make then said `bad interpreter`."""
    write_program(checkout.parent / "path", "prometheus")
    write_program(checkout.parent / "path", "uv", 'echo "uv $*"')
    interpreter = checkout / ".venv" / "bin" / "python"
    interpreter.unlink()
    interpreter.symlink_to("/missing/python3.11")
    assert "uv sync" in run_bootstrap(checkout).stdout


def test_a_read_only_checkout_is_one_line(checkout: Path) -> None:
    (checkout / "uv.lock").write_text("version = 1\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkout"
        shutil.copytree(checkout, folder)
        shutil.copytree(checkout.parent / "path", Path(name) / "path", symlinks=True)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        user = 65534 if os.geteuid() == 0 else None  # nobody: root may write everywhere
        done = run_bootstrap(folder, user=user)
    (line,) = done.stderr.splitlines()
    assert "read-only for you. Copy the checkout" in line
    assert done.returncode == 1


def test_missing_python_is_named(checkout: Path) -> None:
    write_program(checkout.parent / "path", "prometheus")
    (checkout / "uv.lock").write_text("version = 1\n")
    done = run_bootstrap(checkout)
    assert done.returncode == 1
    assert "Python 3.11 or newer is missing" in done.stderr
