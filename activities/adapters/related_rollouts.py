"""Other rollouts, as the flag store and the ledger hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from activities.contract.models import LedgerEntry, ProbeResult
from activities.contract.ports import Flags, Ledger
from sluice.flag_rules import FULL_PERCENTAGE
from sluice.rollout.plan.related_rollouts import parse_rollout_key


class _Plan(BaseModel):
    model_config = ConfigDict(extra="ignore")

    environment: str = "default"


class _State(BaseModel):
    """The part of an ended rollout's state that another plan asks for."""

    model_config = ConfigDict(extra="ignore")

    plan: _Plan
    status: str
    finished_at: datetime | None = None


class _Ending(BaseModel):
    model_config = ConfigDict(extra="ignore")

    state: _State
    ending: str = ""


@dataclass(frozen=True)
class RelatedRollouts:
    """Checks of the rollouts that a plan excludes or comes after."""

    flags: Flags
    ledger: Ledger

    async def check_excluded(self, environment: str, flags: tuple[str, ...]) -> ProbeResult:
        """See ``check_excluded_flags`` of ``activities.contract.ports.EnvironmentProbe``."""
        partial = []
        for flag in flags:
            stored = await self.flags.read(environment, flag)
            if stored is not None and not stored.killed and 0 < stored.percentage < FULL_PERCENTAGE:
                partial.append(f"{flag} is at {stored.percentage:g} %")
        success = f"none of {', '.join(flags)} treats a part of the users"
        return ProbeResult(passed=not partial, reason="; ".join(partial) or success)

    async def check_required(self, environment: str, keys: tuple[str, ...]) -> ProbeResult:
        """See ``check_required_rollouts`` of ``activities.contract.ports.EnvironmentProbe``."""
        results = []
        for key in keys:
            flag, key_environment = parse_rollout_key(key)
            entries = await self.ledger.endings(f"rollout-{flag}/")
            results.append(_describe_ending(flag, key_environment or environment, entries))
        return ProbeResult(
            passed=all(passed for passed, _ in results), reason="; ".join(t for _, t in results)
        )


def _describe_ending(
    flag: str, environment: str, entries: Sequence[LedgerEntry]
) -> tuple[bool, str]:
    """Return True for a Healthy end of the newest rollout, with its id as evidence."""
    for entry in entries:
        ending = _Ending.model_validate_json(entry.body)
        if ending.state.plan.environment == environment and ending.ending != "Interim":
            status = ending.ending or ending.state.status
            at = f"{entry.at:%Y-%m-%d %H:%M}"
            text = (
                f"{flag} in {environment} ended {status} at {at} (sluice report {entry.rollout_id})"
            )
            return status == "Healthy", text
    return False, f"no rollout of {flag} in {environment} has ended"
