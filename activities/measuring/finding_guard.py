"""The last guard: kills a flag whose rollout does not act on an emergency in time.

The watch returns its finding to the workflow, and the workflow rolls back. It cannot when its tasks
fail (new code that does not fit its history), when Temporal is out of reach, and not in time when two
hundred rollouts roll back at once. A kill needs the flag store only, and kills at the same time are
one commit.
"""

import asyncio
import logging

from activities.contract.errors import FlagRefusedError, FlagsUnreachableError
from activities.contract.models import WatchRequest
from activities.contract.ports import Flags
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.state import Finding

ACT_SECONDS_MAX = 0.5
"""A rollout that is not held up acts within 0.1 s."""
RETRY_SECONDS = 1.0
ATTEMPTS_MAX = 600
_logger = logging.getLogger(__name__)
_running: set[asyncio.Task[None]] = set()


def guard_finding(flags: Flags, request: WatchRequest, finding: Finding) -> None:
    """Kill the flag unless the rollout takes it to 0 % within ``ACT_SECONDS_MAX``.

    Only a P0 asks for an emergency rollback, whose outcome a kill is. The task outlives the watch.
    """
    if finding.verdict.severity is not Severity.P0 or finding.kind != "red_flag":
        return  # the rollout's own next write can look like drift to the watch of the last step
    task = asyncio.create_task(_kill_unless_lowered(flags, request, finding))
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _kill_unless_lowered(flags: Flags, request: WatchRequest, finding: Finding) -> None:
    await asyncio.sleep(ACT_SECONDS_MAX)
    reason = f"the rollout did not act in {ACT_SECONDS_MAX:g} s on: {finding.verdict.reason}"
    for _ in range(ATTEMPTS_MAX):
        try:
            await _kill_if_serving(flags, request, reason)
        except FlagsUnreachableError:
            await asyncio.sleep(RETRY_SECONDS)
        except FlagRefusedError as error:
            _logger.warning("flag %s was not killed: %s", request.flag, error)
            return
        else:
            return


async def _kill_if_serving(flags: Flags, request: WatchRequest, reason: str) -> None:
    if not await _is_lowered(flags, request):
        _logger.error("flag %s is killed: %s", request.flag, reason)
        await flags.kill(request.environment, request.flag, reason)


async def _is_lowered(flags: Flags, request: WatchRequest) -> bool:
    """Return True if the flag treats nobody; a flag that the cleanup deleted treats everybody."""
    receipt = await flags.read(request.environment, request.flag)
    if receipt is None:
        return not request.is_permanent
    return receipt.killed or receipt.percentage == 0
