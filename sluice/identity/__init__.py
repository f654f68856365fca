"""Signed decisions: statement, SSH signature, keyring and verification."""

from sluice.identity.errors import (
    IdentityError,
    KeyringError,
    ProofRejectedError,
    SignatureFormatError,
    StatementError,
)
from sluice.identity.keyring import Keyring, KeyringEntry, Role, parse_keyring, read_keyring
from sluice.identity.statement import Statement, encode_statement, parse_statement
from sluice.identity.verification import verify_proof, verify_signature

__all__ = [
    "IdentityError",
    "Keyring",
    "KeyringEntry",
    "KeyringError",
    "ProofRejectedError",
    "Role",
    "SignatureFormatError",
    "Statement",
    "StatementError",
    "encode_statement",
    "parse_keyring",
    "parse_statement",
    "read_keyring",
    "verify_proof",
    "verify_signature",
]
