"""The proof of a decision that a person makes in the console.

| login | proof |
|---|---|
| passkey | the passkey's own signature; the person cannot repudiate it |
| OIDC | the console's key, which vouches for the login: repudiable |
| link | the SSH key of the machine's user, SLUICE_SIGNING_KEY, as on the command line |
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluice.cli.errors import CliError
from sluice.console.login.passkeys import Passkeys
from sluice.console.settings import ConsoleSettings
from sluice.console.web.sessions import Session
from sluice.identity import Role
from sluice.identity.errors import SigningError
from sluice.identity.signing import (
    ProcessKeySigner,
    SshKeygenSigner,
    StatementSigner,
    sign_command,
)
from sluice.identity.verification import required_roles
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decision_context import LOWERING_VERBS
from sluice.rollout.engine.state import State


@dataclass(frozen=True, slots=True)
class DecisionSigner:
    """Signs what may raise traffic, by the login of the session."""

    settings: ConsoleSettings
    passkeys: Passkeys
    console_key: Ed25519PrivateKey

    async def sign(self, state: State, verb: Verb, command: Command, session: Session) -> Command:
        """Return the command with the proof that the session can give; without any, unchanged.

        Raises:
            CliError: the login's roles do not allow it, or the key did not sign.
        """
        if verb in LOWERING_VERBS:
            return command
        signer = self._signer_of(session)
        if signer is None:
            return command
        if problem := self.missing_role(verb, session):
            raise CliError(problem)
        try:
            return await sign_command(state, verb, command, signer)
        except SigningError as error:
            raise CliError(str(error)) from error

    async def vouch(self, state: State, verb: Verb, command: Command) -> Command:
        """Return the command signed with the console's key: a click whose author is authenticated.

        The rights are those of the author's own lines in the keyring.
        """
        return await sign_command(state, verb, command, ProcessKeySigner(self.console_key))

    def missing_role(self, verb: Verb, session: Session) -> str:
        """Return why the roles of an OIDC login do not allow the verb; empty if they do.

        Other logins have the roles of their keys, which only the worker's keyring holds.
        """
        needed = required_roles(verb)
        is_open = session.login != "oidc" or verb in LOWERING_VERBS
        if is_open or session.roles & {str(role) for role in needed}:
            return ""
        roles = ", ".join(sorted(session.roles)) or Role.VIEWER
        return (
            f"{session.actor} may not {verb}: the login gives {roles}, "
            f"needed is {' or '.join(needed)}"
        )

    def needs_passkey(self, verb: Verb, session: Session) -> bool:
        """Return True if only a passkey can prove the session's decision."""
        return session.login == "passkey" and verb not in LOWERING_VERBS

    def _signer_of(self, session: Session) -> StatementSigner | None:
        if session.login == "oidc":
            return ProcessKeySigner(self.console_key)
        if session.login == "link" and self.settings.signing_key is not None:
            return SshKeygenSigner(self.settings.signing_key)
        return None
