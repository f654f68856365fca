"""Verification of a decision's author, against the worker's keyring."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from temporalio import activity

from activities.contract.errors import temporal_errors
from activities.contract.models import LedgerEntry, VerificationRequest, VerificationResult
from activities.contract.ports import Ledger
from sluice.identity import IdentityError, Keyring, parse_statement, read_keyring, verify_proof
from sluice.identity.verification import may_still_approve
from sluice.rollout.engine.decision_context import START


@dataclass(frozen=True)
class IdentityActivities:
    """Holds the keyring's path; the file is read for each decision, so a change counts at once.

    Without a path names are claims, and every decision is accepted as before. ``approvals_min`` is
    the least number of approvals for a step that raises traffic, whatever a plan says. ``ledger``
    keeps the signed starts: each counts for one run. It is needed with a keyring.
    """

    keyring: Path | None = None
    approvals_min: int = 0
    ledger: Ledger | None = None

    @activity.defn(name="verify_decision")
    async def verify(self, request: VerificationRequest) -> VerificationResult:
        """Return the signer, or why the proof does not authorize the decision.

        A keyring that cannot be read rejects: who may decide is then unknown.

        Raises:
            LedgerUnreachableError: transient: a replay would look like a start.
        """
        result = await asyncio.to_thread(self._verify, request)
        if result.signer is not None and request.context.verb == START:
            result = await self._require_first_use(request, result)
        return result.model_copy(update={"approvals_min": self.approvals_min})

    def _verify(self, request: VerificationRequest) -> VerificationResult:
        if self.keyring is None:
            return VerificationResult(has_keyring=False)
        if request.proof is None:
            return _rejection(
                f"{request.context.verb} needs a signature: set SLUICE_SIGNING_KEY to your SSH key"
            )
        try:
            keyring = read_keyring(self.keyring)
            signer = verify_proof(request.proof, keyring, request.context)
        except IdentityError as error:
            return _rejection(str(error))
        except (OSError, ValueError) as error:
            return _rejection(f"the worker's keyring cannot be read: {error}")
        nonce = parse_statement(request.proof.statement).nonce
        revoked = tuple(_revoked_keys(request, keyring))
        return VerificationResult(has_keyring=True, signer=signer, nonce=nonce, revoked=revoked)

    async def _require_first_use(
        self, request: VerificationRequest, result: VerificationResult
    ) -> VerificationResult:
        """Reject a signed start that another run has used: no run is named in it."""
        if self.ledger is None:
            return _rejection("this worker has no ledger, so it cannot tell a start from a replay")
        entry = LedgerEntry(
            rollout_id=f"start/{result.nonce}",
            key="run",
            kind="start",
            at=request.context.time,
            body=json.dumps(request.run_id),
        )
        with temporal_errors():
            first = await self.ledger.append(entry)
        if json.loads(first.body) == request.run_id:
            return result
        return _rejection("the statement was used before, for another run; sign a new one")


def _revoked_keys(request: VerificationRequest, keyring: Keyring) -> Iterator[str]:
    context = request.context
    for approval in request.approvals:
        author = (approval.actor, approval.fingerprint)
        if not may_still_approve(*author, keyring, context.environment, context.time):
            yield approval.fingerprint


def _rejection(reason: str) -> VerificationResult:
    return VerificationResult(has_keyring=True, rejection=reason)
