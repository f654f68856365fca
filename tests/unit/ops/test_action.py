"""The GitHub Action's own script accepts a good plan and fails on a bad one; the hook is its lint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sluice.cli.starter_plan import MetricSource, StarterPlan

ROOT = Path(__file__).parents[3]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def run_check(folder: Path, text: str, scenarios: str = "") -> subprocess.CompletedProcess[str]:
    """Run the action's last step as a runner does, with the packages of this environment."""
    (folder / "plan.yaml").write_text(text)
    step = ACTION["runs"]["steps"][-1]
    inputs = {"${{ inputs.plan }}": "plan.yaml", "${{ inputs.rehearse }}": scenarios}
    variables = {name: inputs[value] for name, value in step["env"].items()}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(  # noqa: S603  the project's own script
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # noqa: S607
        cwd=folder,
        env={**os.environ, **variables, "PATH": path, "SLUICE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


GOOD = StarterPlan("shop", "shop", MetricSource(labels='flag="shop"')).render()


def test_a_good_plan_passes(tmp_path: Path) -> None:
    done = run_check(tmp_path, GOOD)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("percentage: 25", "percent: 25", "percent"),
        ("min_samples: 100}", "min_samples: 0}", "min_samples"),
    ],
)
def test_a_mistake_or_a_warning_fails_the_job(
    tmp_path: Path, before: str, after: str, problem: str
) -> None:
    assert before in GOOD
    done = run_check(tmp_path, GOOD.replace(before, after))
    assert done.returncode != 0
    assert problem in done.stdout + done.stderr


def test_an_unknown_scenario_fails_the_job(tmp_path: Path) -> None:
    done = run_check(tmp_path, GOOD, "no_such_scenario")
    assert done.returncode != 0
    assert "no_such_scenario" in done.stderr


@pytest.mark.parametrize(
    ("requirement", "scenarios", "installed"),
    [
        ("", "", "install {checkout} numpy"),
        ("", "error_burst", "install {checkout}[rehearsal]"),
        ("sluice==0.2.0", "", "install sluice==0.2.0 numpy"),
    ],
)
def test_the_action_installs_its_own_version(
    tmp_path: Path, requirement: str, scenarios: str, installed: str
) -> None:
    """The index may hold another package of that name, or another version than the workflow pins."""
    for program in ("pip", "sudo"):
        stub = tmp_path / program
        stub.write_text(f'#!/bin/sh\necho "{program} $*" >> "{tmp_path}/calls"\n')
        stub.chmod(0o755)
    variables = {"SLUICE": requirement, "SCENARIOS": scenarios, "GITHUB_ACTION_PATH": str(ROOT)}
    subprocess.run(  # noqa: S603  the project's own script
        ["bash", "-eo", "pipefail", "-c", ACTION["runs"]["steps"][0]["run"]],  # noqa: S607
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
        check=True,
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-1] == f"pip {installed.format(checkout=ROOT)}"


def test_the_hook_and_the_action_check_the_same() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] in ACTION["runs"]["steps"][-1]["run"]
    names = {"${{ inputs." + name + " }}" for name in ACTION["inputs"]}
    used = {value for step in ACTION["runs"]["steps"] for value in step["env"].values()}
    assert used == names
