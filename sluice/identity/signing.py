"""Signing decisions: with a person's SSH key through ssh-keygen, or with a key in this process."""

import asyncio
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluice.identity.errors import SigningError
from sluice.identity.sshsig import NAMESPACE, sign_message
from sluice.identity.statement import Statement, encode_statement, statement_of
from sluice.rollout.engine.commands import Command, Proof, Verb
from sluice.rollout.engine.decision_context import DecisionContext, command_context, start_context
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import RolloutPlan

SIGN_SECONDS_MAX = 60
"""Time for a person to type a passphrase or to touch a hardware key."""


class StatementSigner(Protocol):
    """Whatever turns a statement into a proof."""

    async def sign(self, statement: Statement) -> Proof:
        """Sign.

        Raises:
            SigningError: no signature; the message says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class SshKeygenSigner:
    """A private key file, or the public key of one that ssh-agent or a hardware key holds."""

    key: Path

    async def sign(self, statement: Statement) -> Proof:
        text = encode_statement(statement)
        return Proof(statement=text, signature=await _run_ssh_keygen(text.encode(), self.key))


@dataclass(frozen=True, slots=True)
class ProcessKeySigner:
    """An Ed25519 key that this process holds: the console's own."""

    key: Ed25519PrivateKey

    async def sign(self, statement: Statement) -> Proof:
        text = encode_statement(statement)
        return Proof(statement=text, signature=sign_message(self.key, text.encode()))


async def sign_command(
    state: State, verb: Verb, command: Command, signer: StatementSigner
) -> Command:
    """Return the command with a proof that binds it to the rollout as ``state`` shows it.

    Raises:
        SigningError: no signature; the message says why.
    """
    context = command_context(state, verb, command, datetime.now(UTC))
    return await _with_proof(command, context, signer)


async def sign_start(
    plan: RolloutPlan, rollout: str, command: Command, signer: StatementSigner
) -> Command:
    """Return the command that starts ``rollout`` (the workflow id) by ``plan``, with a proof.

    Raises:
        SigningError: no signature; the message says why.
    """
    context = start_context(rollout, plan, command, datetime.now(UTC))
    return await _with_proof(command, context, signer)


async def _with_proof(
    command: Command, context: DecisionContext, signer: StatementSigner
) -> Command:
    proof = await signer.sign(statement_of(context, new_nonce()))
    return command.model_copy(update={"proof": proof})


def new_nonce() -> str:
    """Make a random nonce for one statement."""
    return secrets.token_hex(16)


async def _run_ssh_keygen(message: bytes, key: Path) -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SigningError("ssh-keygen is not installed; install openssh-client")
    arguments = (program, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(SIGN_SECONDS_MAX):
            output, problem = await process.communicate(message)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise SigningError(f"ssh-keygen did not sign within {SIGN_SECONDS_MAX} s") from error
    if process.returncode != 0:
        text = problem.decode(errors="replace").strip()
        raise SigningError(f"ssh-keygen could not sign with {key}: {text}")
    return output.decode("ascii")
