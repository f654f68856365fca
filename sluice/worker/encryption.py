"""Encryption of Temporal's payloads with AES-256-GCM; only workers and people hold the key."""

import base64
import binascii
import dataclasses
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec

from sluice.worker.payload_converter import DATA_CONVERTER

KEYS_VARIABLE = "SLUICE_PAYLOAD_KEYS"
ENCODING = b"binary/encrypted"
NONCE_BYTES = 12
_REFUSED = {"encoding": f"refused/plain: set {KEYS_VARIABLE} at the sender".encode()}
KEY_BYTES = 32


class PayloadKeyError(Exception):
    """A key is malformed, or the key of a payload is missing."""


class EncryptionCodec(PayloadCodec):
    """Codec that encrypts with the first key and decrypts with the key that a payload names.

    Decryption passes plain payloads through, so that encryption can be switched on during a rollout.
    With ``require_encryption`` a plain one becomes a payload that no converter reads: an update with
    it is rejected and a signal dropped. An exception would fail every later task of the workflow.
    To rotate keys, put the new one first.
    """

    def __init__(self, keys: dict[str, bytes], *, require_encryption: bool = False) -> None:
        self._require_encryption = require_encryption
        self._newest = next(iter(keys))
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload whole, metadata included."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt each encrypted payload.

        Raises:
            PayloadKeyError: the key is missing, or the payload was changed.
        """
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        nonce, name = os.urandom(NONCE_BYTES), self._newest.encode()
        data = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), name)
        metadata = {"encoding": ENCODING, "encryption-key-id": name}
        return Payload(metadata=metadata, data=nonce + data)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return Payload(metadata=_REFUSED) if self._require_encryption else payload
        name = payload.metadata.get("encryption-key-id", b"").decode()
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise PayloadKeyError(f"a payload needs the key {name!r}: add it to {KEYS_VARIABLE}")
        nonce, data = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, data, name.encode()))
        except InvalidTag:
            raise PayloadKeyError(
                f"a payload cannot be decrypted with the key {name!r}: it has another key "
                "or was changed"
            ) from None


def data_converter(payload_keys: str, *, require_encryption: bool = False) -> DataConverter:
    """Build the converter that worker and command line share; ``payload_keys`` may be empty.

    ``require_encryption``: where there are keys, plain payloads are refused.

    Raises:
        PayloadKeyError: ``payload_keys`` isn't ``name:base64,name:base64`` with keys of 32 bytes.
    """
    if not payload_keys:
        return DATA_CONVERTER
    keys = dict(_parse_key(part) for part in payload_keys.split(","))
    codec = EncryptionCodec(keys, require_encryption=require_encryption)
    return dataclasses.replace(DATA_CONVERTER, payload_codec=codec)


def _parse_key(part: str) -> tuple[str, bytes]:
    name, _, text = part.strip().partition(":")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if not name or len(key) != KEY_BYTES:
        raise PayloadKeyError(
            f"{KEYS_VARIABLE}: key {name!r} is not name:base64 of {KEY_BYTES} bytes; "
            "make one with `openssl rand -base64 32`"
        )
    return name, key
