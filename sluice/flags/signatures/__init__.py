"""Signatures of flags: a person with write access to Redis alone can then lower a flag, not raise it."""

from sluice.flags.signatures.keys import FlagKeyError, load_public_keys, load_signing_key
from sluice.flags.signatures.signer import FlagSigner
from sluice.flags.signatures.trust import TrustFilter

__all__ = ["FlagKeyError", "FlagSigner", "TrustFilter", "load_public_keys", "load_signing_key"]
