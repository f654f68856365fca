"""Signed decisions: statement, SSH signature, keyring, verification and the hash chain."""

from sluice.identity.chain import ChainedRecord, append_record, verify_chain
from sluice.identity.errors import (
    ChainError,
    IdentityError,
    KeyringError,
    ProofRejectedError,
    SignatureFormatError,
    StatementError,
)
from sluice.identity.keyring import Keyring, KeyringEntry, Role, parse_keyring
from sluice.identity.statement import Statement, encode_statement, parse_statement
from sluice.identity.verification import (
    PLACE_FIELDS,
    Proof,
    Signer,
    VerificationContext,
    verify_proof,
)

__all__ = [
    "PLACE_FIELDS",
    "ChainError",
    "ChainedRecord",
    "IdentityError",
    "Keyring",
    "KeyringEntry",
    "KeyringError",
    "Proof",
    "ProofRejectedError",
    "Role",
    "SignatureFormatError",
    "Signer",
    "Statement",
    "StatementError",
    "VerificationContext",
    "append_record",
    "encode_statement",
    "parse_keyring",
    "parse_statement",
    "verify_chain",
    "verify_proof",
]
