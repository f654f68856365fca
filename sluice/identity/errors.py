"""Errors of the identity package.

IdentityError
├── StatementError        the text is not a canonical decision statement
├── SignatureFormatError  the bytes are not an SSHSIG signature of a supported kind
├── SigningError          ssh-keygen could not sign
├── KeyringError          the allowed_signers file has a line that cannot be used
└── ProofRejectedError    the proof is well formed but does not authorize the decision
"""


class IdentityError(Exception):
    """Base of every error of this package."""


class StatementError(IdentityError):
    """A text that is not a canonical decision statement."""


class SignatureFormatError(IdentityError):
    """Bytes that are not an SSHSIG signature of a supported kind."""


class SigningError(IdentityError):
    """A signature that ssh-keygen did not produce; the message holds its output."""


class KeyringError(IdentityError):
    """A keyring line that cannot be used. The message names the line."""


class ProofRejectedError(IdentityError):
    """A well-formed proof that does not authorize the decision."""
