"""The base install is a small flag client: five packages, no heavy driver, and working commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OURS = {"activities", "router", "sluice", "worker.py", "workflows"}
HEAVY = ("neo4j", "numpy", "onnxruntime", "qdrant_client", "sklearn", "temporalio")
MEGABYTES_MAX = 40
FLAG_READER = (
    "import sys; from sluice.flags import FlagReader; print(*{modules} & set(sys.modules))"
)


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own programs
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
    )


def uv(*arguments: str | Path, **environment: str) -> None:
    program = shutil.which("uv") or ROOT / ".uv" / "bin" / "uv"
    done = run(program, *arguments, UV_SYSTEM_CERTS="true", **environment)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a fresh virtual environment with the wheel's base install."""
    folder = tmp_path_factory.mktemp("base")
    uv("build", "--quiet", "--wheel", "--out-dir", folder, ROOT)
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv")
    wheel = next(folder.glob("*.whl"))
    uv("pip", "install", "--quiet", wheel, VIRTUAL_ENV=str(folder / "venv"))
    return folder / "venv"


@pytest.fixture
def site_packages(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


@pytest.mark.integration
class TestBaseInstall:
    def test_puts_only_our_five_names_into_site_packages(self, site_packages: Path) -> None:
        record = next(site_packages.glob("sluice-*.dist-info")) / "RECORD"
        names = {line.split("/")[0].split(",")[0] for line in record.read_text().splitlines()}
        outside = {name for name in names if name == ".." or name.endswith(".dist-info")}
        assert names - outside == OURS

    def test_is_small_and_without_heavy_packages(self, site_packages: Path) -> None:
        files = [path for path in site_packages.rglob("*") if path.suffix != ".pyc"]
        size = sum(path.stat().st_size for path in files if path.is_file())
        assert [name for name in HEAVY if (site_packages / name).exists()] == []
        assert size < MEGABYTES_MAX * 1e6

    def test_prints_its_version(self, environment: Path) -> None:
        done = run(environment / "bin" / "sluice", "--version")
        assert (done.stdout, done.stderr, done.returncode) == ("sluice 0.2.0\n", "", 0)

    def test_lints_the_plan_that_the_wheel_carries(
        self, environment: Path, site_packages: Path
    ) -> None:
        """Without numpy the times to detection are missing, and a warning says so."""
        plan = site_packages / "sluice" / "data" / "plans" / "phase4.yaml"
        done = run(environment / "bin" / "sluice", "lint", plan)
        assert done.returncode == 0, done.stderr
        assert "numpy is not installed" in done.stdout

    def test_kills_and_reads_flags(self, environment: Path, redis_url: str) -> None:
        sluice = environment / "bin" / "sluice"
        created = run(sluice, "flags", "create", "packaged", REDIS_URL=redis_url)
        killed = run(sluice, "kill", "packaged", REDIS_URL=redis_url, SLUICE_ACTOR="test")
        shown = run(sluice, "flags", "show", "packaged", "--json", REDIS_URL=redis_url)
        assert (created.returncode, killed.returncode) == (0, 0), created.stderr + killed.stderr
        assert '"killed": true' in shown.stdout, shown.stderr

    def test_imports_the_flag_reader_without_a_driver_of_others(self, environment: Path) -> None:
        code = FLAG_READER.format(modules=set(HEAVY))
        done = run(environment / "bin" / "python", "-c", code)
        assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr

    @pytest.mark.parametrize(
        ("command", "extra"),
        [("abort", "rollouts"), ("rehearse", "rehearsal"), ("worker", "worker"), ("up", "stack")],
    )
    def test_names_the_pip_command_for_a_missing_extra(
        self, environment: Path, command: str, extra: str
    ) -> None:
        done = run(environment / "bin" / "sluice", command)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert f"`sluice {command}` needs the extra '{extra}'" in done.stderr
        assert f"[{extra}]'" in done.stderr
