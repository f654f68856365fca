"""The code port on a real clone: git revert in a worktree of its own, push, deploy hook.

The revert never happens in the clone's own checkout: a conflict, a kill or a lost network leaves it
as it was. A trailer in the commit identifies an earlier attempt, so that a retry does the rest.
"""

import asyncio
import hashlib
import re
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.subprocesses import CompletedCommand, run_command
from activities.contract.errors import CodeConflictError, CodeRefusedError, CodeUnreachableError
from activities.contract.models import RevertReceipt, RevertRequest

GIT_SECONDS_MAX = 120.0
HOOK_SECONDS_MAX = 900.0
COMMIT_TRAILER = "Sluice-Rollback"
NO_REF_EXIT_CODE = 2
"""git ls-remote --exit-code: the remote answers, and has no such branch."""
HIDDEN_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
PASSED_VARIABLES = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TZ|LANG|LC_\w+|XDG_\w+|GIT_\w+|SSH_\w+|SSL_CERT_\w+"
    r"|(?:https?|all|no)_proxy",
    re.IGNORECASE,
)
"""Variables that git and the deploy hook get: no addresses, passwords and secrets of the worker."""
NON_INTERACTIVE_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "LC_ALL": "C",
}
FALLBACK_IDENTITY = {"user.name": "Sluice", "user.email": "sluice@localhost"}


@dataclass(frozen=True)
class GitRepository:
    """``repository`` is a clone that may push; ``deploy_hook`` is a command (may be empty).

    ``environment`` is the worker's: git gets ``PASSED_VARIABLES``, and the hook ``hook_variables`` too.
    """

    repository: str
    deploy_hook: str
    environment: Mapping[str, str]
    hook_variables: frozenset[str] = frozenset()

    async def revert(self, request: RevertRequest) -> RevertReceipt:
        """See ``activities.contract.ports.CodeRepository``."""
        git = await self._open_clone()
        branch = await git.fetch_branch(request)
        revert = await git.find_revert(request, branch)
        if not revert:
            revert = await git.revert_and_push(request, branch)
        await git.fast_forward_checkout(request, branch)
        deployed = await self._deploy(request, revert)
        result = (
            f"{revert[:10]} reverts {request.commit}" if revert else f"{request.commit} was undone"
        )
        branch_text = f"on {request.remote}/{request.branch}"
        return RevertReceipt(commit=revert, text=f"{result} {branch_text}; {deployed}")

    async def _open_clone(self) -> "GitClient":
        folder = Path(self.repository)
        if not self.repository or not await asyncio.to_thread(folder.is_dir):
            raise CodeRefusedError(
                f"no clone at {self.repository!r}: set SLUICE_CODE_REPOSITORY for the worker"
            )
        passed = {n: v for n, v in self._hook_environment().items() if n not in HIDDEN_VARIABLES}
        git = GitClient(folder, {**NON_INTERACTIVE_ENVIRONMENT, **passed, "LC_ALL": "C"})
        await git.run_checked("rev-parse", "--git-dir", error=CodeRefusedError)
        return git

    def _hook_environment(self, allowed_names: frozenset[str] = frozenset()) -> dict[str, str]:
        return {
            name: value
            for name, value in self.environment.items()
            if name in allowed_names or PASSED_VARIABLES.fullmatch(name)
        }

    async def _deploy(self, request: RevertRequest, commit: str) -> str:
        command = shlex.split(self.deploy_hook)
        if not command:
            return "no deploy hook is set (SLUICE_DEPLOY_HOOK): deploy it now"
        hook_variables = {
            "SLUICE_FLAG": request.flag,
            "SLUICE_ROLLOUT_ID": request.rollout_id,
            "SLUICE_ROLLBACK_KEY": request.key,
            "SLUICE_REVERTED_COMMIT": request.commit,
            "SLUICE_REVERT_COMMIT": commit,
        }
        environment = {**self._hook_environment(self.hook_variables), **hook_variables}
        try:
            completed = await run_command(
                command, Path(self.repository), environment, HOOK_SECONDS_MAX
            )
        except OSError as error:
            raise CodeRefusedError(f"pushed, but the deploy hook can't run: {error}") from error
        except TimeoutError as error:
            raise CodeUnreachableError("pushed, but the deploy hook is too slow") from error
        if completed.returncode != 0:
            raise CodeUnreachableError(
                f"pushed, but the deploy hook ended {completed.returncode}: {completed.tail}"
            )
        return "deploy hook done"


@dataclass(frozen=True)
class GitClient:
    """git in one folder; every command has a time limit and never prompts."""

    folder: Path
    environment: Mapping[str, str]

    async def run(self, *arguments: str) -> CompletedCommand:
        try:
            return await run_command(
                ("git", *arguments), self.folder, self.environment, GIT_SECONDS_MAX
            )
        except TimeoutError as error:
            raise CodeUnreachableError(f"git {arguments[0]} is too slow") from error
        except OSError as error:
            raise CodeRefusedError(f"git can't run: {error}") from error

    async def run_checked(
        self, *arguments: str, error: type[CodeRefusedError | CodeUnreachableError]
    ) -> str:
        """Run a command that has to succeed, and return its output; otherwise raise ``error``."""
        completed = await self.run(*arguments)
        if completed.returncode != 0:
            raise error(f"git {arguments[0]} in {self.folder}: {completed.tail}")
        return completed.output.strip()

    async def fetch_branch(self, request: RevertRequest) -> str:
        """Fetch the remote's branch and return its local ref.

        Raises:
            CodeRefusedError: the remote has no such branch.
            CodeUnreachableError: the fetch fails.
        """
        remote, branch = request.remote, request.branch
        listing = await self.run("ls-remote", "--exit-code", "--heads", remote, branch)
        if listing.returncode == NO_REF_EXIT_CODE:
            raise CodeRefusedError(f"{remote} has no branch {branch}")
        local_ref = f"refs/remotes/{remote}/{branch}"
        fetch = ("fetch", "--no-tags", remote, f"+refs/heads/{branch}:{local_ref}")
        await self.run_checked(*fetch, error=CodeUnreachableError)
        return local_ref

    async def find_revert(self, request: RevertRequest, branch: str) -> str:
        """Return the commit that an earlier attempt pushed, or an empty text."""
        mark = f"{COMMIT_TRAILER}: {request.key}"
        search = ("log", "-1", "--format=%H", "--fixed-strings", f"--grep={mark}", branch)
        return await self.run_checked(*search, error=CodeUnreachableError)

    async def revert_and_push(self, request: RevertRequest, branch: str) -> str:
        """Revert, push and return the new commit; empty when the commit was undone already."""
        commit = await self._resolve_commit(request, branch)
        async with self._worktree(request, branch) as worktree:
            await worktree.stage_revert(commit, await self._mainline_options(commit))
            if (await worktree.run("diff", "--cached", "--quiet")).returncode == 0:
                return ""
            await worktree.commit_revert(request, commit)
            push = ("push", request.remote, f"HEAD:refs/heads/{request.branch}")
            await worktree.run_checked(*push, error=CodeUnreachableError)
            return await worktree.run_checked("rev-parse", "HEAD", error=CodeUnreachableError)

    async def fast_forward_checkout(self, request: RevertRequest, branch: str) -> None:
        """Fast-forward the clone's own checkout if it is on the branch and has no local changes."""
        head = await self.run("symbolic-ref", "--short", "-q", "HEAD")
        changes = await self.run("status", "--porcelain", "--untracked-files=no")
        if head.output.strip() == request.branch and changes.returncode == 0 and not changes.output:
            await self.run("merge", "--ff-only", "--quiet", branch)

    async def _resolve_commit(self, request: RevertRequest, branch: str) -> str:
        """Return the full hash of the commit.

        Raises:
            CodeRefusedError: the clone or the branch does not contain the commit.
        """
        name = f"{request.commit}^{{commit}}"
        resolved = await self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        if resolved.returncode != 0:
            raise CodeRefusedError(f"the clone has no commit {request.commit}")
        commit = resolved.output.strip()
        if (await self.run("merge-base", "--is-ancestor", commit, branch)).returncode != 0:
            raise CodeRefusedError(f"{request.commit} is not part of {request.branch}")
        return commit

    async def _mainline_options(self, commit: str) -> tuple[str, ...]:
        """Return the options that revert a merge relative to its first parent; empty for others."""
        second = await self.run("rev-parse", "--verify", "--quiet", f"{commit}^2")
        return ("-m", "1") if second.returncode == 0 else ()

    @asynccontextmanager
    async def _worktree(self, request: RevertRequest, branch: str) -> AsyncIterator["GitClient"]:
        """Check the branch out inside the git folder; remove that checkout in every case."""
        inside = await self.run_checked("rev-parse", "--git-common-dir", error=CodeUnreachableError)
        name = hashlib.sha256(request.key.encode()).hexdigest()[:12]
        place = (self.folder / inside / "sluice" / f"revert-{name}").resolve()
        await self._remove_worktree(place)  # what a killed worker left
        try:
            add = ("worktree", "add", "--detach", "--force", str(place), branch)
            await self.run_checked(*add, error=CodeUnreachableError)
            yield GitClient(place, self.environment)
        finally:
            await self._remove_worktree(place)

    async def _remove_worktree(self, place: Path) -> None:
        await self.run("worktree", "remove", "--force", "--force", str(place))
        await self.run("worktree", "prune")

    async def stage_revert(self, commit: str, mainline: tuple[str, ...]) -> None:
        completed = await self.run("revert", "--no-commit", *mainline, commit)
        if completed.returncode == 0:
            return
        conflicting_files = await self.run("diff", "--name-only", "--diff-filter=U")
        await self.run("revert", "--abort")
        if conflicts := conflicting_files.output.split():
            raise CodeConflictError(
                f"reverting {commit[:10]} conflicts in {', '.join(conflicts)}: revert it by hand"
            )
        raise CodeUnreachableError(f"git revert: {completed.tail}")

    async def commit_revert(self, request: RevertRequest, commit: str) -> None:
        subject = await self.run_checked(
            "log", "-1", "--format=%s", commit, error=CodeUnreachableError
        )
        message = (
            f'Revert "{subject}"\n\nThis reverts commit {commit}.\n\nReason: {request.reason}\n\n'
            f"Confirmed-by: {request.actor}\n{COMMIT_TRAILER}: {request.key}\n"
        )
        identity: list[str] = []
        for name, value in FALLBACK_IDENTITY.items():
            if (await self.run("config", name)).returncode != 0:
                identity += ["-c", f"{name}={value}"]
        await self.run_checked(
            *identity, "commit", "--quiet", "-m", message, error=CodeUnreachableError
        )
