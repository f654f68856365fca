"""Values of a decision's page: what it binds to, and whether this person may take it now."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice.console.feeds.rollout_feed import RolloutSnapshot
from sluice.console.pages.decision_sending import DecisionRequest
from sluice.console.services import ConsoleServices
from sluice.console.web.sessions import Session
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.approvals import missing_approvals, signer_rejection
from sluice.rollout.engine.commands import Signer, Verb
from sluice.rollout.engine.decision_context import LOWERING_VERBS
from sluice.rollout.engine.rollback import rollback_targets
from sluice.rollout.engine.state import State, Status
from sluice.rollout.units import format_whole_seconds

SILENCE = "6h"
"""The time that the page proposes for an acknowledgement."""


@dataclass(frozen=True, slots=True)
class ProofKinds:
    """Ways in which the session may prove a decision: by its passkey, or by its login alone."""

    passkey: bool
    login: bool


def decision_values(
    services: ConsoleServices,
    session: Session,
    snapshot: RolloutSnapshot,
    decision: DecisionRequest,
) -> Mapping[str, Any]:
    """Return the template's values for one person and one decision.

    A page whose decision is refused now shows the reason and the way on instead of a button. What
    only lowers traffic always has its button.
    """
    state, verb = snapshot.state, decision.verb
    proof = _proof_kinds(services, verb, session)
    rejection = _claim_rejection(services, session, state, decision)
    if not rejection and not proof.passkey and state.decisions.has_keyring:
        rejection = services.signer.missing_role(verb, session)
    check = _find_check(snapshot, decision.evidence)
    missing, newest = _missing(state), newest_evidence(state, verb)
    return {
        "flag": state.plan.flag,
        "names_are_claims": not state.decisions.has_keyring,
        "state": state,
        "decision": decision,
        "check": check,
        "age": format_whole_seconds(services.now() - check.at) if check else "",
        "newest": newest if missing and newest != decision.evidence else "",
        "approvals": state.entry.approvals if missing else (),
        "targets": rollback_targets(state.rollback_origin_step),
        "rejection": rejection,
        "has_form": not rejection or verb in LOWERING_VERBS,
        "missing": missing,
        "proof": proof,
        "problems": snapshot.problems,
        "read_at": snapshot.read_at,
    }


def newest_evidence(state: State, verb: Verb) -> str:
    """Return the id of the check that an approval would rest on; empty for other decisions."""
    if verb is not Verb.APPROVE or state.checks.latest is None:
        return ""
    return state.checks.latest.id


def _claim_rejection(
    services: ConsoleServices, session: Session, state: State, decision: DecisionRequest
) -> str:
    """Return why this decision of this person cannot be taken, whatever proves it."""
    verb = decision.verb
    # What was refused is shown again, not judged again.
    command = replace(decision, reason="", duration=SILENCE).command(session.actor)
    if reason := rejection_reason(state, verb, command, services.now()):
        return reason
    if not state.decisions.has_keyring:
        return ""
    person = Signer(name=session.actor, fingerprint="")
    return signer_rejection(state, person) if verb is Verb.APPROVE else ""


def _missing(state: State) -> int:
    is_active = state.status in (Status.PROGRESSING, Status.PAUSED) and state.abort is None
    waits = is_active and state.step is not None and not state.is_live
    return missing_approvals(state, state.step) if waits and state.step else 0


def _proof_kinds(services: ConsoleServices, verb: Verb, session: Session) -> ProofKinds:
    """Return the buttons that the decision's form offers."""
    raises = verb not in LOWERING_VERBS
    has_passkey = bool(services.passkeys.file.of(session.actor)) and services.passkeys.are_offered
    return ProofKinds(raises and has_passkey, not services.signer.needs_passkey(verb, session))


def _find_check(snapshot: RolloutSnapshot, evidence: str) -> Check | None:
    state = snapshot.state
    if not evidence:
        return state.latest_check
    candidates = (*snapshot.history.checks, *filter(None, (state.checks.latest, state.clock.check)))
    return next((c for c in reversed(candidates) if c.id == evidence), None)
