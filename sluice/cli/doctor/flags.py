"""Orphaned flags: above 0 %, although their rollout was terminated or failed."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from sluice.cli.context import Context
from sluice.cli.doctor.finding import BAD, GOOD, DoctorFinding
from sluice.cli.doctor.flag_records import audit_problem, rollout_problem
from sluice.cli.errors import CliError
from sluice.flags import FeatureFlags, FlagError, FlagState, WriteMetadata
from sluice.flags.redis.urls import connect
from workflows.models import workflow_id

# Completed is not among them: a rollout that ended Healthy leaves its flag at 100 %.
ORPHANING_STATUSES = (
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TIMED_OUT,
    WorkflowExecutionStatus.CANCELED,
)
Orphans = list[FlagState]


async def check_flags(context: Context) -> tuple[list[DoctorFinding], Orphans]:
    """Return a finding for each flag above 0 %, and the orphans among them."""
    try:
        client = await context.connect_temporal()
        async with _feature_flags(context) as flags:
            serving = [flag for flag in await flags.list_flags() if _is_serving(flag)]
            audits = {flag.name: await flags.history(flag.name) for flag in serving}
    except (FlagError, CliError) as error:
        return [DoctorFinding("flags", BAD, str(error))], []
    if not serving:
        return [DoctorFinding("flags", GOOD, "all at 0 %")], []
    findings, orphans = [], []
    for flag in serving:
        finding, orphan = await _classify_flag(client, flag)
        if finding.level != BAD and (problem := audit_problem(flag, audits[flag.name])):
            text = f"at {flag.rollout_percentage:g} %, but {problem}. `sluice kill {flag.name}` stops it"
            finding = DoctorFinding(finding.subject, BAD, text)
        findings.append(finding)
        orphans += [flag] if orphan else []
    return findings, orphans


async def fence_orphans(context: Context, orphans: Orphans) -> list[DoctorFinding]:
    """Set each to 0 % and fence its old run's late writes off; a new rollout may begin."""
    findings = []
    async with _feature_flags(context) as flags:
        for flag in orphans:
            change = WriteMetadata(actor=context.actor, reason="orphan fenced by sluice doctor")
            try:
                await flags.claim(flag.name, f"doctor-{uuid.uuid4()}", change)
                await flags.set_rollout_percentage(flag.name, 0, metadata=change)
                await flags.set_whitelist(flag.name, (), metadata=change)
                fenced_flag = await flags.get_flag(flag.name)
            except FlagError as error:
                findings.append(DoctorFinding(f"flag {flag.name}", BAD, f"not fenced: {error}"))
                continue
            text = f"fenced: {fenced_flag.rollout_percentage:g} %, its old run is fenced off"
            findings.append(DoctorFinding(f"flag {flag.name}", GOOD, text))
    return findings


def _is_serving(flag: FlagState) -> bool:
    return not flag.killed and (flag.rollout_percentage > 0 or bool(flag.whitelist))


async def _classify_flag(client: Client, flag: FlagState) -> tuple[DoctorFinding, bool]:
    about, at = f"flag {flag.name}", f"at {flag.rollout_percentage:g} %"
    owner = flag.fence.owner
    if owner is None:
        return DoctorFinding(
            about, "warn", f"{at}, set by hand: its red flags are not watched"
        ), False
    execution = await _find_owning_run(client, flag.name, owner)
    if execution is None:
        text = f"{at}, but Temporal has no record of its rollout; set it to 0 % if in doubt"
        return DoctorFinding(about, "warn", text), False
    status = execution.status
    if status in ORPHANING_STATUSES:
        text = f"{at}, an orphan: its rollout is {status.name.lower()} and its red flags are not watched"
        return DoctorFinding(about, BAD, f"{text}. `sluice doctor --fence` sets it to 0 %"), True
    running = status is WorkflowExecutionStatus.RUNNING
    if problem := rollout_problem(flag, execution):
        advice = (
            f"`sluice kill {flag.name}`" if running else "`sluice doctor --fence` sets it to 0 %"
        )
        return DoctorFinding(about, BAD, f"{at}, but {problem}. {advice}"), not running
    text = "its rollout is running" if running else "its rollout ended Healthy"
    return DoctorFinding(about, GOOD, f"{at}, {text}"), False


async def _find_owning_run(
    client: Client, flag: str, owner: str
) -> WorkflowExecutionDescription | None:
    """Return the last run of the rollout that owns the flag, ignoring later rollouts of the flag."""
    query = f'WorkflowId = "{workflow_id(flag)}"'
    async for run in client.list_workflows(query):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        try:
            described = await handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                continue
            raise CliError(f"Temporal: {error}") from error
        continued = described.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
        first = described.raw_description.workflow_execution_info.first_run_id or described.run_id
        if first == owner and not continued:
            return described
    return None


@asynccontextmanager
async def _feature_flags(context: Context) -> AsyncIterator[FeatureFlags]:
    redis = connect(context.redis_url, socket_timeout=2, socket_connect_timeout=2)
    try:
        yield FeatureFlags(redis, environment=context.environment_name)
    finally:
        await redis.aclose()
