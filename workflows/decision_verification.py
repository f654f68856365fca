"""Verification of decisions by the worker's keyring, before traffic may be raised."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import VerificationRequest, VerificationResult
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.approvals import minimum_problem
    from sluice.rollout.engine.commands import Command, Proof, Signer, Verb
    from sluice.rollout.engine.decision_context import (
        LOWERING_VERBS,
        DecisionContext,
        command_context,
        start_context,
    )
    from sluice.rollout.engine.start_step import start_step_problem
    from sluice.rollout.engine.state import State
    from workflows import activity_options
    from workflows.models import RolloutInput

VERIFY_DECISION = "verify_decision"


async def verify_command(state: State, verb: Verb, command: Command) -> Signer | None:
    """Return the verified author; None without a keyring, and for commands that only lower.

    Raises:
        ApplicationError: type CommandRefused, with the reason.
    """
    if verb in LOWERING_VERBS:
        return None
    context = command_context(state, verb, command, workflow.now())
    return await _verify(state, context, command.proof)


async def verify_start(state: State, start: RolloutInput) -> None:
    """Record who started the rollout.

    Raises:
        ApplicationError: type CommandRefused: the keyring does not let this person start it.
    """
    command = start.command or Command(actor="unnamed")
    rollout = workflow.info().workflow_id
    context = start_context(rollout, start.plan, command, workflow.now())
    signer = await _verify(state, context, command.proof)
    if problem := start_step_problem(start.plan, command.to):
        raise command_refusal(problem)
    if problem := minimum_problem(start.plan, state.decisions.approvals_min):
        raise command_refusal(problem)
    if start.command is not None:
        transitions.record_start(state, workflow.now(), command, signer)


async def _verify(state: State, context: DecisionContext, proof: Proof | None) -> Signer | None:
    try:
        result: VerificationResult = await workflow.execute_local_activity(
            VERIFY_DECISION,  # by name: cryptography has no business in workflow code
            VerificationRequest(
                context=context,
                proof=proof,
                run_id=state.run_id,
                approvals=state.entry.approvals if context.verb == Verb.APPROVE else (),
            ),
            result_type=VerificationResult,
            **activity_options.VERIFY,
        )
    except FailureError as error:
        raise command_refusal("who decided could not be verified; try again") from error
    if result.rejection:
        raise command_refusal(result.rejection)
    if state.decisions.has_keyring and not result.has_keyring:
        raise command_refusal(
            "this rollout needs signatures, and this worker has no SLUICE_KEYRING"
        )
    if result.nonce in state.decisions.used_nonces:  # two were verified at the same moment
        raise command_refusal("the statement was used before; sign a new one")
    transitions.record_verification(state, workflow.now(), result.has_keyring, result.nonce)
    transitions.record_approvals_min(state, result.approvals_min)
    transitions.revoke_approvals(state, workflow.now(), result.revoked)
    return result.signer


def command_refusal(reason: str) -> ApplicationError:
    """Return the error that refuses a person's command."""
    return ApplicationError(reason, type="CommandRefused", non_retryable=True)
