"""The code port on a real clone: git revert in a worktree of its own, push, deploy hook.

The clone's own checkout is never the place of work: a conflict, a kill or a lost network leaves it
as it was. What was done is found again by a trailer in the commit, so that a retry does the rest.
"""

import asyncio
import hashlib
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from activities.errors import CodeConflictError, CodeRefusedError, CodeUnreachableError
from activities.models import RevertReceipt, RevertRequest
from activities.processes import Finished, run

GIT_SECONDS_MAX = 120.0
HOOK_SECONDS_MAX = 900.0
TRAILER = "Sluice-Rollback"
NO_REF = 2
"""git ls-remote --exit-code: the remote answers, and has no such branch."""
HIDDEN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
UNASKED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "LC_ALL": "C",
}
IDENTITY = {"user.name": "Sluice", "user.email": "sluice@localhost"}


@dataclass(frozen=True)
class GitCode:
    """``repository`` is a clone that may push; ``hook`` is the command that deploys (may be empty)."""

    repository: str
    hook: str
    environment: Mapping[str, str]

    async def revert(self, request: RevertRequest) -> RevertReceipt:
        """See ``activities.ports.Code``."""
        git = await self._clone()
        branch = await git.fetched(request)
        done = await git.done_before(request, branch)
        if not done:
            done = await git.reverted(request, branch)
        await git.follow(request, branch)
        deployed = await self._deploy(request, done)
        what = f"{done[:10]} reverts {request.commit}" if done else f"{request.commit} was undone"
        where = f"on {request.remote}/{request.branch}"
        return RevertReceipt(commit=done, text=f"{what} {where}; {deployed}")

    async def _clone(self) -> "Git":
        folder = Path(self.repository)
        if not self.repository or not await asyncio.to_thread(folder.is_dir):
            raise CodeRefusedError(
                f"no clone at {self.repository!r}: set SLUICE_CODE_REPOSITORY for the worker"
            )
        hidden = {n: v for n, v in self.environment.items() if n not in HIDDEN}
        git = Git(folder, {**UNASKED, **hidden, "LC_ALL": "C"})
        await git.must("rev-parse", "--git-dir", error=CodeRefusedError)
        return git

    async def _deploy(self, request: RevertRequest, commit: str) -> str:
        command = shlex.split(self.hook)
        if not command:
            return "no deploy hook is set (SLUICE_DEPLOY_HOOK): deploy it now"
        told = {
            "SLUICE_FLAG": request.flag,
            "SLUICE_ROLLOUT_ID": request.rollout_id,
            "SLUICE_ROLLBACK_KEY": request.key,
            "SLUICE_REVERTED_COMMIT": request.commit,
            "SLUICE_REVERT_COMMIT": commit,
        }
        environment = {**self.environment, **told}
        try:
            end = await run(command, Path(self.repository), environment, HOOK_SECONDS_MAX)
        except OSError as error:
            raise CodeRefusedError(f"pushed, but the deploy hook can't run: {error}") from error
        except TimeoutError as error:
            raise CodeUnreachableError("pushed, but the deploy hook is too slow") from error
        if end.code != 0:
            raise CodeUnreachableError(f"pushed, but the deploy hook ended {end.code}: {end.tail}")
        return "deploy hook done"


@dataclass(frozen=True)
class Git:
    """git in one folder; every command has a limit and asks nobody anything."""

    folder: Path
    environment: Mapping[str, str]

    async def run(self, *arguments: str) -> Finished:
        try:
            return await run(("git", *arguments), self.folder, self.environment, GIT_SECONDS_MAX)
        except TimeoutError as error:
            raise CodeUnreachableError(f"git {arguments[0]} is too slow") from error
        except OSError as error:
            raise CodeRefusedError(f"git can't run: {error}") from error

    async def must(
        self, *arguments: str, error: type[CodeRefusedError | CodeUnreachableError]
    ) -> str:
        """Give what a command wrote that has to succeed."""
        end = await self.run(*arguments)
        if end.code != 0:
            raise error(f"git {arguments[0]} in {self.folder}: {end.tail}")
        return end.output.strip()

    async def fetched(self, request: RevertRequest) -> str:
        """The branch as the remote has it now; CodeRefusedError when there is none."""
        remote, branch = request.remote, request.branch
        there = await self.run("ls-remote", "--exit-code", "--heads", remote, branch)
        if there.code == NO_REF:
            raise CodeRefusedError(f"{remote} has no branch {branch}")
        ours = f"refs/remotes/{remote}/{branch}"
        fetch = ("fetch", "--no-tags", remote, f"+refs/heads/{branch}:{ours}")
        await self.must(*fetch, error=CodeUnreachableError)
        return ours

    async def done_before(self, request: RevertRequest, branch: str) -> str:
        """The commit of an earlier attempt that came as far as the push; empty when none did."""
        mark = f"{TRAILER}: {request.key}"
        looking = ("log", "-1", "--format=%H", "--fixed-strings", f"--grep={mark}", branch)
        return await self.must(*looking, error=CodeUnreachableError)

    async def reverted(self, request: RevertRequest, branch: str) -> str:
        """Revert and push; empty when somebody has undone the commit already."""
        commit = await self._known(request, branch)
        async with self._worktree(request, branch) as there:
            await there.undo(commit, await self._mainline(commit))
            if (await there.run("diff", "--cached", "--quiet")).code == 0:
                return ""
            await there.record(request, commit)
            push = ("push", request.remote, f"HEAD:refs/heads/{request.branch}")
            await there.must(*push, error=CodeUnreachableError)
            return await there.must("rev-parse", "HEAD", error=CodeUnreachableError)

    async def follow(self, request: RevertRequest, branch: str) -> None:
        """Let the clone's own checkout follow when it is that branch, and nobody works in it."""
        head = await self.run("symbolic-ref", "--short", "-q", "HEAD")
        changes = await self.run("status", "--porcelain", "--untracked-files=no")
        if head.output.strip() == request.branch and changes.code == 0 and not changes.output:
            await self.run("merge", "--ff-only", "--quiet", branch)

    async def _known(self, request: RevertRequest, branch: str) -> str:
        """The whole name of the commit, which must be part of the branch."""
        name = f"{request.commit}^{{commit}}"
        found = await self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        if found.code != 0:
            raise CodeRefusedError(f"the clone knows no commit {request.commit}")
        commit = found.output.strip()
        if (await self.run("merge-base", "--is-ancestor", commit, branch)).code != 0:
            raise CodeRefusedError(f"{request.commit} is not part of {request.branch}")
        return commit

    async def _mainline(self, commit: str) -> tuple[str, ...]:
        """A merge is undone as what it brought into its first parent."""
        second = await self.run("rev-parse", "--verify", "--quiet", f"{commit}^2")
        return ("-m", "1") if second.code == 0 else ()

    @asynccontextmanager
    async def _worktree(self, request: RevertRequest, branch: str) -> AsyncIterator["Git"]:
        """A checkout inside the git folder that is taken away whatever happens."""
        inside = await self.must("rev-parse", "--git-common-dir", error=CodeUnreachableError)
        name = hashlib.sha256(request.key.encode()).hexdigest()[:12]
        place = (self.folder / inside / "sluice" / f"revert-{name}").resolve()
        await self._remove(place)  # what a killed worker left
        try:
            add = ("worktree", "add", "--detach", "--force", str(place), branch)
            await self.must(*add, error=CodeUnreachableError)
            yield Git(place, self.environment)
        finally:
            await self._remove(place)

    async def _remove(self, place: Path) -> None:
        await self.run("worktree", "remove", "--force", "--force", str(place))
        await self.run("worktree", "prune")

    async def undo(self, commit: str, mainline: tuple[str, ...]) -> None:
        end = await self.run("revert", "--no-commit", *mainline, commit)
        if end.code == 0:
            return
        files = await self.run("diff", "--name-only", "--diff-filter=U")
        await self.run("revert", "--abort")
        if conflicts := files.output.split():
            raise CodeConflictError(
                f"reverting {commit[:10]} conflicts in {', '.join(conflicts)}: revert it by hand"
            )
        raise CodeUnreachableError(f"git revert: {end.tail}")

    async def record(self, request: RevertRequest, commit: str) -> None:
        subject = await self.must("log", "-1", "--format=%s", commit, error=CodeUnreachableError)
        message = (
            f'Revert "{subject}"\n\nThis reverts commit {commit}.\n\n{request.reason}\n\n'
            f"Confirmed-by: {request.actor}\n{TRAILER}: {request.key}\n"
        )
        identity: list[str] = []
        for name, value in IDENTITY.items():
            if (await self.run("config", name)).code != 0:
                identity += ["-c", f"{name}={value}"]
        await self.must(*identity, "commit", "--quiet", "-m", message, error=CodeUnreachableError)
