"""Passkeys of the people who use this console: enrolment, login, and signatures, by py_webauthn.

A passkey may decide when the worker's keyring holds its line.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

from webauthn import (
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    options_to_json_dict,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import DecodedEC2PublicKey
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from sluice.console.login.oidc import LoginRejectedError
from sluice.console.login.passkey_file import Passkey, PasskeyFile
from sluice.console.settings import ConsoleSettings
from sluice.identity import IdentityError, Statement, encode_statement
from sluice.identity.passkey import (
    PasskeyAssertion,
    passkey_blob,
    passkey_challenge,
    passkey_signature,
)
from sluice.rollout.engine.commands import Proof

ALGORITHMS = [COSEAlgorithmIdentifier.ECDSA_SHA_256]
PASSKEYS_MAX = 10
UNREADABLE = (ValueError, KeyError, TypeError, RecursionError)
"""Errors of JSON from a browser that is damaged, of another shape, or nested without an end."""


class Passkeys:
    """Ceremonies with the passkeys of one console; ``file`` holds those that were added."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.file = PasskeyFile(settings.home / "passkeys.json")
        self._origin, self._relying_party = settings.origin, settings.relying_party

    @property
    def are_offered(self) -> bool:
        """True where browsers have passkeys: on a domain with TLS, or on localhost."""
        return bool(self._relying_party)

    def enrolment_options(self, actor: str, challenge: bytes) -> dict[str, Any]:
        """Return what ``navigator.credentials.create`` takes."""
        options = generate_registration_options(
            rp_id=self._relying_party,
            rp_name="Sluice",
            user_name=actor,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(p.credential))
                for p in self.file.of(actor)
            ],
            supported_pub_key_algs=ALGORITHMS,
        )
        return options_to_json_dict(options)

    def enrol(self, actor: str, answer: str, challenge: bytes) -> Passkey:
        """Keep the passkey that the browser has created for this challenge.

        Raises:
            LoginRejectedError: not this challenge, origin or domain, or another kind of key.
        """
        try:
            verified = verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._relying_party,
                expected_origin=self._origin,
                supported_pub_key_algs=ALGORITHMS,
            )
            key = decode_credential_public_key(verified.credential_public_key)
        except (WebAuthnException, RecursionError) as error:
            raise LoginRejectedError(f"The passkey was not added: {error}") from error
        if not isinstance(key, DecodedEC2PublicKey):
            raise LoginRejectedError("The passkey was not added: its key is not P-256.")
        if len(self.file.of(actor)) >= PASSKEYS_MAX:
            raise LoginRejectedError(f"{actor} has {PASSKEYS_MAX} passkeys; remove one first.")
        blob = passkey_blob(key.x, key.y, self._relying_party)
        passkey = Passkey(
            actor=actor,
            credential=bytes_to_base64url(verified.credential_id),
            public_key=bytes_to_base64url(verified.credential_public_key),
            key_blob=base64.b64encode(blob).decode(),
            sign_count=verified.sign_count,
        )
        self.file.put(passkey)
        return passkey

    def login_options(self, challenge: bytes) -> dict[str, Any]:
        """Return what ``navigator.credentials.get`` takes; the person chooses the passkey."""
        return {"challenge": bytes_to_base64url(challenge), "rpId": self._relying_party}

    def log_in(self, answer: str, challenge: bytes) -> str:
        """Return the person whose passkey has answered the challenge.

        Raises:
            LoginRejectedError: an unknown passkey, or not this challenge, origin or domain.
        """
        passkey = self._answering(self.file.all(), answer)
        try:
            verified = verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._relying_party,
                expected_origin=self._origin,
                credential_public_key=base64url_to_bytes(passkey.public_key),
                credential_current_sign_count=passkey.sign_count,
            )
        except (WebAuthnException, RecursionError) as error:
            raise LoginRejectedError(f"The passkey was not accepted: {error}") from error
        self.file.put(passkey.model_copy(update={"sign_count": verified.new_sign_count}))
        return passkey.actor

    def signing_options(self, actor: str, statement: Statement) -> dict[str, Any]:
        """Return what ``navigator.credentials.get`` takes to sign the statement."""
        text = encode_statement(statement)
        allowed = [{"type": "public-key", "id": p.credential} for p in self.file.of(actor)]
        challenge = bytes_to_base64url(passkey_challenge(text))
        options = {"challenge": challenge, "rpId": self._relying_party, "allowCredentials": allowed}
        return {"statement": text, "publicKey": options}

    def proof(self, actor: str, statement: str, answer: str) -> Proof:
        """Return the proof that a passkey's answer makes of a statement; the worker verifies it.

        Raises:
            LoginRejectedError: not one of the person's passkeys, or a damaged answer.
        """
        passkey = self._answering(self.file.of(actor), answer)
        try:
            values = json.loads(answer)["response"]
            assertion = PasskeyAssertion(
                client_data=base64url_to_bytes(values["clientDataJSON"]),
                authenticator_data=base64url_to_bytes(values["authenticatorData"]),
                signature=base64url_to_bytes(values["signature"]),
            )
            signature = passkey_signature(passkey.blob, assertion)
            return Proof(statement=statement, signature=signature)
        except (*UNREADABLE, AttributeError, IdentityError) as error:
            raise LoginRejectedError(f"The passkey's answer cannot be read: {error}") from error

    @staticmethod
    def _answering(passkeys: Sequence[Passkey], answer: str) -> Passkey:
        try:
            credential = json.loads(answer)["id"]
        except UNREADABLE as error:
            raise LoginRejectedError("The passkey's answer cannot be read.") from error
        passkey = next((p for p in passkeys if p.credential == credential), None)
        if passkey is None:
            raise LoginRejectedError("This passkey is not known here. Log in another way first.")
        return passkey
