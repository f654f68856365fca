"""A code rollback on a real clone with a real remote: reverted, pushed, deployed; or left as it was."""

import os
import subprocess
from pathlib import Path

import pytest

from activities.adapters.git_revert import GitRepository
from activities.contract.errors import CodeConflictError, CodeRefusedError, CodeUnreachableError
from activities.contract.models import RevertRequest

pytestmark = pytest.mark.integration

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}
AUTHOR = ("-c", "user.name=dev", "-c", "user.email=dev@example.com")


def git(folder: Path, *arguments: str) -> str:
    command = ("git", *AUTHOR, *arguments)
    done = subprocess.run(  # noqa: S603  our own arguments
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, text: str, message: str) -> str:
    (folder / "router.py").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Create a clone of a bare remote with three commits; the second is Phase 4."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), "clone")
    folder = tmp_path / "clone"
    git(folder, "checkout", "-q", "-b", "main")
    commit(folder, "phase 3\n", "phase 3")
    commit(folder, "phase 3\nphase 4\n", "phase 4")
    (folder / "README").write_text("later work\n")
    commit(folder, "phase 3\nphase 4\n", "later work")
    git(folder, "push", "-q", "origin", "main")
    return folder


def revert_request(clone: Path, key: str = "rollout/1", commit: str = "") -> RevertRequest:
    return RevertRequest(
        key=key,
        rollout_id="rollout",
        flag="learning",
        commit=(commit or git(clone, "rev-parse", "main~1"))[:10],
        branch="main",
        remote="origin",
        actor="alice",
        reason="a critical bug",
    )


def remote_head(clone: Path, what: str = "main") -> str:
    return git(clone.parent / "remote.git", "rev-parse", what)


def is_untouched(clone: Path) -> bool:
    """No worktree but the clone's own, nothing changed in it, no revert under way."""
    alone = len(git(clone, "worktree", "list").splitlines()) == 1
    return alone and not git(clone, "status", "--porcelain")


async def test_reverts_pushes_and_deploys_once(clone: Path, tmp_path: Path) -> None:
    """The remote has the revert, with who and why; a retry adds no second one."""
    hook = f"sh -c 'echo $SLUICE_FLAG $SLUICE_REVERT_COMMIT >> {tmp_path}/deployed'"
    code = GitRepository(str(clone), hook, ENVIRONMENT)
    receipt = await code.revert(revert_request(clone))
    assert remote_head(clone) == receipt.commit
    assert git(clone, "show", "main:router.py") == "phase 3"
    message = git(clone, "log", "-1", "--format=%B")
    for words in (
        'Revert "phase 4"',
        "This reverts commit",
        "a critical bug",
        "Confirmed-by: alice",
    ):
        assert words in message
    again = await code.revert(revert_request(clone, commit=git(clone, "rev-parse", "main~2")))
    assert again.commit == receipt.commit
    assert remote_head(clone) == receipt.commit
    deployed = (tmp_path / "deployed").read_text().splitlines()
    assert (
        deployed == [f"learning {receipt.commit}"] * 2
    )  # at least once: the key identifies repetitions
    assert is_untouched(clone)


async def test_a_conflict_is_reported_and_leaves_nothing(clone: Path) -> None:
    """The files are named; remote and clone are as before."""
    before = commit(clone, "phase 3\nphase 4, rewritten\n", "on top of it")
    git(clone, "push", "-q", "origin", "main")
    with pytest.raises(CodeConflictError, match=r"router\.py"):
        await GitRepository(str(clone), "false", ENVIRONMENT).revert(
            revert_request(clone, commit=git(clone, "rev-parse", "main~2"))
        )
    assert (remote_head(clone), git(clone, "rev-parse", "main")) == (before, before)
    assert is_untouched(clone)


async def test_a_persons_work_in_the_clone_is_left_alone(clone: Path) -> None:
    """The revert happens in a worktree of its own; the checkout follows only when it is clean."""
    (clone / "router.py").write_text("half a thought\n")
    receipt = await GitRepository(str(clone), "", ENVIRONMENT).revert(revert_request(clone))
    assert remote_head(clone) == receipt.commit
    assert (clone / "router.py").read_text() == "half a thought\n"
    assert "deploy it now" in receipt.text


async def test_what_somebody_has_undone_already_needs_no_second_revert(clone: Path) -> None:
    git(clone, "revert", "--no-edit", "main~1")
    git(clone, "push", "-q", "origin", "main")
    before = remote_head(clone)
    receipt = await GitRepository(str(clone), "true", ENVIRONMENT).revert(
        revert_request(clone, commit=git(clone, "rev-parse", "main~2"))
    )
    assert (receipt.commit, remote_head(clone)) == ("", before)


async def test_a_push_that_fails_leaves_nothing_and_is_tried_again(clone: Path) -> None:
    """The next attempt starts from what the remote has then."""
    refusing = clone.parent / "remote.git" / "hooks" / "pre-receive"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    code, before = GitRepository(str(clone), "", ENVIRONMENT), remote_head(clone)
    with pytest.raises(CodeUnreachableError, match="push"):
        await code.revert(revert_request(clone))
    assert (remote_head(clone), is_untouched(clone)) == (before, True)
    refusing.unlink()
    assert (await code.revert(revert_request(clone))).commit == remote_head(clone)


async def test_a_failed_deployment_is_tried_again_without_a_second_revert(clone: Path) -> None:
    wanted = revert_request(clone)
    with pytest.raises(CodeUnreachableError, match="ended 3: no room"):
        await GitRepository(str(clone), "sh -c 'echo no room; exit 3'", ENVIRONMENT).revert(wanted)
    first = remote_head(clone)
    receipt = await GitRepository(str(clone), "true", ENVIRONMENT).revert(wanted)
    assert receipt.commit == first == remote_head(clone)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"commit": "0" * 10}, "has no commit"),
        ({"branch": "elsewhere"}, "no branch elsewhere"),
    ],
)
async def test_what_cannot_be_is_refused(clone: Path, change: dict[str, str], problem: str) -> None:
    with pytest.raises(CodeRefusedError, match=problem):
        await GitRepository(str(clone), "", ENVIRONMENT).revert(
            revert_request(clone).model_copy(update=change)
        )


async def test_without_a_clone_it_says_what_to_set() -> None:
    wanted = RevertRequest(
        key="k", rollout_id="r", flag="f", commit="1" * 7, branch="main", remote="origin",
        actor="a", reason="",
    )  # fmt: skip
    with pytest.raises(CodeRefusedError, match="SLUICE_CODE_REPOSITORY"):
        await GitRepository("", "", ENVIRONMENT).revert(wanted)


async def test_neither_git_nor_the_hook_sees_the_secrets_of_the_worker(
    clone: Path, tmp_path: Path
) -> None:
    """Only variables that git needs, and those that the operator names."""
    secrets = {
        "SLUICE_WEBHOOK_SECRET": "s3cret",
        "POSTGRES_DSN": "postgresql://u:s3cret@h/d",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "KUBECONFIG": "/kube",
    }
    git_hook = clone / ".git" / "hooks" / "pre-push"
    git_hook.write_text(f"#!/bin/sh\nenv > {tmp_path}/git\n")
    git_hook.chmod(0o755)
    code = GitRepository(
        str(clone),
        f"sh -c 'env > {tmp_path}/hook'",
        ENVIRONMENT | secrets,
        frozenset({"KUBECONFIG"}),
    )
    await code.revert(revert_request(clone))
    seen = {name: (tmp_path / name).read_text() for name in ("git", "hook")}
    assert not [name for name, text in seen.items() if "s3cret" in text]
    assert "KUBECONFIG=/kube" in seen["hook"]
    assert "KUBECONFIG" not in seen["git"]
    assert "SLUICE_FLAG=learning" in seen["hook"]
