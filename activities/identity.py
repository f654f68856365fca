"""Verifying who decided, against the worker's keyring."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from temporalio import activity

from activities.contract.models import VerificationRequest, VerificationResult
from sluice.identity import IdentityError, parse_keyring, parse_statement, verify_proof


@dataclass(frozen=True)
class IdentityActivities:
    """Holds the keyring's path; the file is read for each decision, so a change counts at once.

    Without a path names are claims, and every decision is accepted as before. ``approvals_min`` is
    the least number of approvals for a step that raises traffic, whatever a plan says.
    """

    keyring: Path | None = None
    approvals_min: int = 0

    @activity.defn(name="verify_decision")
    async def verify(self, request: VerificationRequest) -> VerificationResult:
        """Return the signer, or why the proof does not authorize the decision. Never raises.

        A keyring that cannot be read rejects: who may decide is then unknown.
        """
        result = await asyncio.to_thread(self._verify, request)
        return result.model_copy(update={"approvals_min": self.approvals_min})

    def _verify(self, request: VerificationRequest) -> VerificationResult:
        if self.keyring is None:
            return VerificationResult(has_keyring=False)
        if request.proof is None:
            return _rejection(
                f"{request.context.verb} needs a signature: set SLUICE_SIGNING_KEY to your SSH key"
            )
        try:
            keyring = parse_keyring(self.keyring.read_text(encoding="utf-8"))
            signer = verify_proof(request.proof, keyring, request.context)
        except IdentityError as error:
            return _rejection(str(error))
        except (OSError, ValueError) as error:
            return _rejection(f"the worker's keyring cannot be read: {error}")
        nonce = parse_statement(request.proof.statement).nonce
        return VerificationResult(has_keyring=True, signer=signer, nonce=nonce)


def _rejection(reason: str) -> VerificationResult:
    return VerificationResult(has_keyring=True, rejection=reason)
