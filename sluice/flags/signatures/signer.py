"""Signing the parts of a document that a write changes, on a base that is signed itself."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from sluice.flags.document import FlagDocument, FlagState
from sluice.flags.signatures.messages import flag_message, phases_message
from sluice.flags.signatures.trust import TrustFilter, lower_flag

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class FlagSigner:
    """A private key, and the keys whose flags it builds on: its own and `public_keys`."""

    def __init__(
        self, key: Ed25519PrivateKey, environment: str, public_keys: tuple[bytes, ...] = ()
    ) -> None:
        self._key = key
        self._environment = environment
        self._trusted = (*public_keys, key.public_key().public_bytes_raw())

    def trusted_base(self, document: FlagDocument, name: str) -> FlagDocument:
        """Return the document with flag and phases lowered unless a trusted key has signed them.

        A write keeps the fields that it does not set. Without this it would sign a stranger's.
        """
        trust = TrustFilter(self._trusted, self._environment)
        update: dict[str, object] = {"phases": trust.served_phases(document)}
        flag = document.flags.get(name)
        if flag is not None and not trust.is_signed(flag):
            lowered = lower_flag(FlagState(name=name), flag)
            update["flags"] = {**document.flags, name: lowered}
        return document.model_copy(update=update)

    def sign_flag(self, flag: FlagState) -> str:
        return self._sign(flag_message(flag, self._environment))

    def sign_phases(self, document: FlagDocument) -> str:
        return self._sign(phases_message(document, self._environment))

    def _sign(self, message: bytes) -> str:
        return base64.b64encode(self._key.sign(message)).decode()


def signed_write(
    document: FlagDocument, name: str, signer: FlagSigner | None, *, has_new_phases: bool
) -> FlagDocument:
    """Sign the written flag and phases; without a key their old signatures go, as they do not fit."""
    update: dict[str, object] = {}
    if (flag := document.flags.get(name)) is not None:
        signature = signer.sign_flag(flag) if signer else ""
        signed = flag.model_copy(update={"signature": signature})
        update["flags"] = {**document.flags, name: signed}
    if has_new_phases:
        document = document.model_copy(update={"phases_version": document.version})
        update["phases_signature"] = signer.sign_phases(document) if signer else ""
    return document.model_copy(update=update)
