"""Client of the rollout workflows: start, query, command. Temporal errors become CliErrors."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from temporalio.client import (
    Client,
    RPCError,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCStatusCode

from sluice.cli.clients.last_record import describe_last_record
from sluice.cli.clients.watch_turns import WatchTurn, fetch_watch_turn
from sluice.cli.clients.workflow_tasks import describe_task_failure
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.identity.errors import SigningError
from sluice.identity.signing import (
    SshKeygenSigner,
    StatementSigner,
    sign_command,
    sign_start,
)
from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
from sluice.rollout.engine.decision_context import LOWERING_VERBS
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.printable import escape_markdown
from workflows.activity_options import TASK_QUEUE
from workflows.models import (
    ROLLOUT_ID_PREFIX,
    ROLLOUT_WORKFLOW,
    RolloutInput,
    RolloutResult,
    workflow_id,
)

T = TypeVar("T")
WaitingFor = tuple[str, datetime | None]
"""The reason to wait, and its deadline."""
ANSWER_TIMEOUT_SECONDS = 7
EXPLANATION_SECONDS_MAX = 2
START_TIMEOUT_SECONDS = 2
POLL_SECONDS = 0.1
NO_WORKER = (
    "No worker answers for the rollout. Start one with `sluice worker`; the flag stays as it is."
)
MAY_STILL_RUN = (
    "A worker that comes back may still carry the command out; check `sluice status` then."
)
ENVIRONMENT_MEMO = "environment"
PHASES_MEMO = "phases_environment"
"""The memo with the environment whose phases the plan sets; empty when it sets none."""


class Rollouts:
    """Client of the rollouts of one Temporal namespace; ``signer`` signs what may raise traffic."""

    def __init__(self, client: Client, signer: StatementSigner | None = None) -> None:
        self.client = client
        self._signer = signer

    async def start(self, plan: RolloutPlan, command: Command | None = None) -> str:
        """Start a rollout and return its id; raise CliError when the flag already has one."""
        rollout = workflow_id(plan.flag)
        if command is not None and self._signer is not None:
            command = await _sign(sign_start(plan, rollout, command, self._signer))
        try:
            handle = await self.client.start_workflow(
                ROLLOUT_WORKFLOW,
                RolloutInput(plan=plan, command=command),
                id=rollout,
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"Rollout of {plan.flag} by plan {plan.name}",
                static_details=escape_markdown(plan.description),
                memo={
                    "plan": plan.name,
                    ENVIRONMENT_MEMO: plan.environment,
                    PHASES_MEMO: plan.environment if plan.sets_phases else "",
                },
                result_type=RolloutResult,
            )
        except WorkflowAlreadyStartedError as error:
            raise CliError(
                f"{plan.flag} has a running rollout already. See `sluice status {plan.flag}`; "
                f"end it with `sluice abort {plan.flag}` first."
            ) from error
        if command is not None:
            await self._require_accepted(plan.flag, handle)
        return handle.id

    async def _require_accepted(
        self, flag: str, handle: WorkflowHandle[Any, RolloutResult]
    ) -> None:
        """Raise CliError if the keyring refuses the start; a worker that is away decides later."""
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                while not (await self.fetch_state(flag)).timeline:
                    if (await handle.describe()).close_time is not None:
                        await handle.result()
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return
        except WorkflowFailureError as error:
            cause = error.cause
            reason = cause.message if isinstance(cause, ApplicationError) else str(cause)
            raise CliError(f"start refused: {reason}") from error

    async def running_flags(self) -> list[str]:
        """Return the flags of all running rollouts."""
        query = f'WorkflowType = "{ROLLOUT_WORKFLOW}" AND ExecutionStatus = "Running"'
        workflows = self.client.list_workflows(query)
        return [workflow.id.removeprefix(ROLLOUT_ID_PREFIX) async for workflow in workflows]

    async def phase_setting_flags(self, environment: str) -> list[str]:
        """Return the flags whose running rollouts set the router's phases in the environment."""
        query = f'WorkflowType = "{ROLLOUT_WORKFLOW}" AND ExecutionStatus = "Running"'
        return [
            workflow.id.removeprefix(ROLLOUT_ID_PREFIX)
            async for workflow in self.client.list_workflows(query)
            if await workflow.memo_value(PHASES_MEMO, "") == environment
        ]

    async def fetch_environment(self, flag: str) -> str:
        """Return the environment of the rollout's flag; needs no worker."""
        described = await self._await_answer(flag, self._handle(flag).describe())
        return str(await described.memo_value(ENVIRONMENT_MEMO, "default"))

    async def resolve_flag(self, flag: str | None) -> str:
        """Return ``flag``, or without it the flag of the only running rollout."""
        if flag is not None:
            return flag.removeprefix(ROLLOUT_ID_PREFIX)
        running = await self.running_flags()
        if len(running) == 1:
            return running[0]
        if not running:
            raise CliError("No rollout runs. Start one with `sluice start PLAN`.", Exit.NOT_FOUND)
        raise CliError(f"Several rollouts run: name one of {', '.join(running)}.", Exit.USAGE)

    async def fetch_state(self, flag: str) -> State:
        """Query the current state of the workflow."""
        query = self._handle(flag).query("get_state", result_type=State)
        return await self._await_answer(flag, query)

    async def fetch_waiting(self, flag: str) -> WaitingFor:
        """Query the conditions that the rollout waits for, with their deadlines."""
        query = self._handle(flag).query("get_waiting", result_type=cast("type[Any]", WaitingFor))
        return await self._await_answer(flag, query)

    async def send_command(
        self, flag: str, verb: Verb, command: Command, seconds: float = ANSWER_TIMEOUT_SECONDS
    ) -> Acknowledgement:
        """Send an update and wait for its answer; raise CliError with the reason of a refusal."""
        if self._signer is not None and verb not in LOWERING_VERBS:
            state = await self.fetch_state(flag)
            command = await _sign(sign_command(state, verb, command, self._signer))
        update = self._handle(flag).execute_update(str(verb), command, result_type=Acknowledgement)
        try:
            async with asyncio.timeout(seconds):
                return await self._await_answer(flag, update, verb)
        except WorkflowUpdateFailedError as error:
            raise CliError(f"{verb} refused: {_rejection_reason(error)}") from error
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            cause = await self._explain_delay(flag, verb)
            raise CliError(cause, Exit.UNREACHABLE) from error

    async def send_signal(self, flag: str, verb: Verb, command: Command) -> None:
        """Send a command as a signal, which survives a missing worker and a restart of the server."""
        await self._await_answer(flag, self._handle(flag).signal(str(verb), command))

    def _handle(self, flag: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(workflow_id(flag))

    async def task_failure(self, flag: str) -> str:
        """Return the cause when the rollout's workflow tasks fail; empty when they do not.

        A worker then polls, but the rollout does nothing. Temporal retries the task until a worker
        with fitting code takes it.
        """
        return await describe_task_failure(self.client, workflow_id(flag))

    async def fetch_watch_turn(self, flag: str) -> WatchTurn | None:
        """Return the last turn of the rollout's red-flag watch; None when no watch has looked."""
        return await self._await_answer(flag, fetch_watch_turn(self.client, workflow_id(flag)))

    async def _explain_silence(self, flag: str, no_answer: str) -> str:
        """Return the cause of a missing answer, the last record, and the command that still acts."""
        with suppress(RPCError, TimeoutError):
            async with asyncio.timeout(EXPLANATION_SECONDS_MAX):
                no_answer = await self.task_failure(flag) or no_answer
                record = await describe_last_record(self.client, workflow_id(flag))
                no_answer = f"{no_answer} {record}"
        return f"{no_answer} Until then `sluice kill {flag}` takes the flag to 0 %."

    async def _explain_delay(self, flag: str, verb: Verb | None) -> str:
        """Return the cause of a missing answer to an update: slow work, or an absent worker."""
        if verb is None or verb is Verb.ABORT:  # an abort falls back at once
            return await self._explain_silence(
                flag, f"{NO_WORKER} {MAY_STILL_RUN}" if verb else NO_WORKER
            )
        silence, waiting_for = await asyncio.gather(
            self._explain_silence(flag, f"{NO_WORKER} {MAY_STILL_RUN}"), self._current_wait(flag)
        )
        if not waiting_for:
            return silence
        return (
            f"{verb} is not done yet, and the worker goes on with it (now: {waiting_for}). "
            "`sluice doctor` names a flag store that does not take it; `sluice status` shows the end."
        )

    async def _current_wait(self, flag: str) -> str:
        """Return what the worker waits for; empty when no worker answers."""
        query = self._handle(flag).query("get_waiting", result_type=cast("type[Any]", WaitingFor))
        with suppress(RPCError, TimeoutError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            async with asyncio.timeout(EXPLANATION_SECONDS_MAX):
                waiting_for, _ = await query
                return str(waiting_for)
        return ""

    async def _await_answer(self, flag: str, question: Awaitable[T], verb: Verb | None = None) -> T:
        """Return the answer; ``verb`` is that of an update."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                return await question
        except ValidationError as error:
            raise CliError(
                f"The rollout of {flag} was written by another version: {error.error_count()} fields of its "
                "state do not fit. Use the version of sluice that its worker runs."
            ) from error
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            cause = await self._explain_silence(flag, str(error))
            raise CliError(f"The rollout of {flag} can't answer: {cause}") from error
        except RPCError as error:
            if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                cause = await self._explain_delay(flag, verb)
                raise CliError(cause, Exit.UNREACHABLE) from error
            raise _to_cli_error(flag, error) from error
        except TimeoutError as error:
            cause = await self._explain_delay(flag, verb)
            raise CliError(cause, Exit.UNREACHABLE) from error


async def open_rollouts(context: Context) -> Rollouts:
    """Connect to Temporal; sign with SLUICE_SIGNING_KEY where it is set.

    Raises:
        CliError: UNREACHABLE; USAGE for a payload key.
    """
    return Rollouts(await context.connect_temporal(), _signer_of(context))


def _signer_of(context: Context) -> StatementSigner | None:
    key = context.environment.get("SLUICE_SIGNING_KEY")
    return SshKeygenSigner(Path(key).expanduser()) if key else None


async def _sign(work: Awaitable[Command]) -> Command:
    try:
        return await work
    except SigningError as error:
        raise CliError(f"{error}. SLUICE_SIGNING_KEY names the key.", Exit.USAGE) from error


def _rejection_reason(error: WorkflowUpdateFailedError) -> str:
    """Return the rollout's own reason, without the name of the error's class."""
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(cause)


def _to_cli_error(flag: str, error: RPCError) -> CliError:
    if error.status is RPCStatusCode.NOT_FOUND:
        if "completed" in str(error):
            return CliError(f"The rollout of {flag} has ended.", Exit.NOT_FOUND)
        message = f"{flag} has no rollout. `sluice list` shows all rollouts."
        return CliError(message, Exit.NOT_FOUND)
    return CliError(f"Temporal: {error}", Exit.UNREACHABLE)
