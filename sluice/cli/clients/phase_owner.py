"""The router's phases belong to one flag at a time: a check before another rollout starts."""

from sluice.cli.clients.flags import connect_redis
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.context import Context
from sluice.cli.errors import CliError
from sluice.cli.output import print_note
from sluice.flags import FeatureFlags, FlagStoreError
from sluice.flags.document import FlagDocument, RouterPhases
from sluice.rollout.plan.schema import RolloutPlan

_ADVICE = "Only one rollout of an environment sets them at a time"


async def require_free_phases(context: Context, rollouts: Rollouts, plan: RolloutPlan) -> None:
    """Refuse to start a plan with ``phases`` while another flag holds the router's phases.

    Raises:
        CliError: another flag's phases are on, or another rollout that sets them runs.
    """
    if not plan.sets_phases:
        return
    for flag in await rollouts.phase_setting_flags(plan.environment):
        if flag != plan.flag:
            raise CliError(
                f"start refused: the plan sets the router's phases, and so does the rollout of {flag}, "
                f"which runs in environment {plan.environment}. {_ADVICE}: wait for its end, or "
                f"`sluice abort {flag}`"
            )
    document = await _read_document(context, plan.environment)
    owner = document.phases_flag if document else ""
    if document is not None and owner not in ("", plan.flag) and document.phases != RouterPhases():
        raise CliError(
            f"start refused: the plan sets the router's phases, which belong to flag {owner} in "
            f"environment {plan.environment}. {_ADVICE}: if {owner} needs them no longer, "
            "`sluice flags phases --off` releases them"
        )


async def _read_document(context: Context, environment: str) -> FlagDocument | None:
    """Return the flag document; None with a warning without an answer: the step's write decides."""
    redis = connect_redis(context.redis_url)
    try:
        return await FeatureFlags(redis, environment=environment).document()
    except FlagStoreError as error:
        print_note(f"warning: it is not known whether the router's phases are free: {error}")
        return None
    finally:
        await redis.aclose()
