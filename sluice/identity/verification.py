"""Verification of a proof: does this signature authorize exactly this decision?"""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from sluice.identity.errors import ProofRejectedError
from sluice.identity.keyring import Keyring, KeyringEntry, Role
from sluice.identity.sshsig import SshSignature, is_valid_signature, parse_signature
from sluice.identity.statement import Statement, parse_statement
from sluice.rollout.engine.commands import Proof, Signer
from sluice.rollout.engine.decision_context import DecisionContext

STATEMENT_AGE_MAX = timedelta(minutes=10)
"""Age at which a statement is refused; nonces are remembered for this long."""
CLOCK_SKEW_MAX = timedelta(minutes=2)
PLACE_FIELDS = (
    "rollout",
    "run",
    "plan",
    "verb",
    "step",
    "percentage",
    "evidence",
    "item",
    "target",
    "reason",
)
"""Fields of a statement that must equal the decision as the rollout sees it."""
_ROLES = {"approve": (Role.APPROVER,), "attest": (Role.APPROVER, Role.OPERATOR)}


def verify_proof(proof: Proof, keyring: Keyring, context: DecisionContext) -> Signer:
    """Return who signed the decision that ``context`` describes.

    Raises:
        StatementError, SignatureFormatError: malformed.
        ProofRejectedError: another decision, too old, used before, or not this person's right.
    """
    statement = parse_statement(proof.statement)
    _require_same_decision(statement, context)
    _require_fresh(statement, context.time, context.nonces)
    return verify_signature(proof, keyring, context.environment, context.time)


def verify_signature(
    proof: Proof, keyring: Keyring, environment: str | None, at: datetime
) -> Signer:
    """Return who signed a statement, and check that the key had the right to at that time.

    ``environment`` None: in any environment, for an audit.

    Raises:
        StatementError, SignatureFormatError: malformed.
        ProofRejectedError: wrong signature, unknown or expired key, missing role.
    """
    statement, signature = parse_statement(proof.statement), parse_signature(proof.signature)
    entry = _usable_entry(signature, keyring, environment, at)
    if not is_valid_signature(signature, proof.statement.encode()):
        raise ProofRejectedError(f"the signature of {entry.name} does not fit the statement")
    if Role.GATEWAY in entry.roles:
        return _vouched_signer(statement, entry, keyring.roles_of(statement.actor, environment, at))
    if statement.actor != entry.name:
        raise ProofRejectedError(
            f"signed by {entry.name} ({entry.fingerprint}), but the actor is {statement.actor}"
        )
    _require_role(statement, entry.roles, entry.name)
    return Signer(name=entry.name, fingerprint=entry.fingerprint)


def may_still_approve(
    name: str, key: str, keyring: Keyring, environment: str, at: datetime
) -> bool:
    """Return True if the keyring still lets the author of an earlier approval approve.

    ``key`` is the fingerprint of the verified signer.
    """
    usable = (e for e in keyring.entries if e.is_valid_at(at) and e.covers(environment))
    for entry in usable:
        roles = entry.roles if (entry.name, entry.fingerprint) == (name, key) else frozenset()
        if Role.GATEWAY in entry.roles and key == _vouched_key(entry, name):
            own_roles = keyring.roles_of(name, environment, at)
            roles = entry.roles if own_roles is None else own_roles
        if Role.APPROVER in roles:
            return True
    return False


def required_roles(verb: str) -> tuple[Role, ...]:
    """Return the roles of which one is needed for a verb that may raise traffic."""
    return _ROLES.get(verb, (Role.OPERATOR,))


def _require_same_decision(statement: Statement, context: DecisionContext) -> None:
    for field in (*PLACE_FIELDS, "actor"):
        signed, actual = getattr(statement, field), getattr(context, field)
        if signed != actual:
            raise ProofRejectedError(
                f"the statement signs {field} {signed!r}, but this decision has {actual!r}: "
                "read the rollout again and sign that"
            )


def _require_fresh(statement: Statement, now: datetime, nonces: AbstractSet[str]) -> None:
    if statement.nonce in nonces:
        raise ProofRejectedError("the statement was used before; sign a new one")
    age = now - statement.time
    if age > STATEMENT_AGE_MAX:
        raise ProofRejectedError(
            f"the statement is {age.total_seconds():.0f} s old, at most "
            f"{STATEMENT_AGE_MAX.total_seconds():.0f} s are allowed; sign a new one"
        )
    if age < -CLOCK_SKEW_MAX:
        raise ProofRejectedError(
            f"the statement is {-age.total_seconds():.0f} s in the future; set your clock"
        )


def _usable_entry(
    signature: SshSignature, keyring: Keyring, environment: str | None, at: datetime
) -> KeyringEntry:
    entry = keyring.entry_of(signature.key_blob)
    if entry is None:
        raise ProofRejectedError(f"key {signature.fingerprint} is not in the keyring")
    if not entry.is_valid_at(at):
        raise ProofRejectedError(f"the key of {entry.name} ({entry.fingerprint}) is not valid now")
    if environment is not None and not entry.covers(environment):
        raise ProofRejectedError(f"{entry.name} has no rights in environment {environment}")
    return entry


def _vouched_signer(
    statement: Statement, gateway: KeyringEntry, person: AbstractSet[Role] | None
) -> Signer:
    """Return the person whose login the console vouches for.

    The person's own lines give the roles: none if they expired or hold for other environments.
    For a person without a line, the gateway's line limits the roles that its login may give.
    """
    roles = gateway.roles if person is None else person
    _require_role(statement, roles - {Role.GATEWAY}, statement.actor)
    key = _vouched_key(gateway, statement.actor)
    return Signer(name=statement.actor, fingerprint=key, gateway=gateway.fingerprint)


def _vouched_key(gateway: KeyringEntry, person: str) -> str:
    return f"{gateway.fingerprint}/{person}"


def _require_role(statement: Statement, roles: AbstractSet[Role], name: str) -> None:
    needed = required_roles(statement.verb)
    if not roles & set(needed):
        raise ProofRejectedError(
            f"{name} may not {statement.verb}: the keyring gives exactly this name "
            f"{', '.join(sorted(roles)) or 'no role that is valid now'}, "
            f"needed is {' or '.join(needed)}"
        )
