"""A passkey's assertion as an SSH signature, so that one keyring holds both kinds of key.

OpenSSH knows a browser's assertion as ``webauthn-sk-ecdsa-sha2-nistp256@openssh.com``
(PROTOCOL.u2f). The challenge is what ``ssh-keygen -Y sign`` would sign. A P-256 passkey is thus one
line of the keyring, with the relying party id as its application.
"""

import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sluice.identity.errors import SignatureFormatError
from sluice.identity.ssh_keys import SK_ECDSA, WEBAUTHN
from sluice.identity.ssh_wire import wire_string
from sluice.identity.sshsig import NAMESPACE, SshSignature, armor, signed_data

HASH = "sha256"
RP_HASH_BYTES, FLAGS_BYTES, COUNTER_BYTES = 32, 1, 4
_HEAD_BYTES = RP_HASH_BYTES + FLAGS_BYTES + COUNTER_BYTES
_COORDINATE_BYTES = 32
_UNCOMPRESSED = b"\x04"


@dataclass(frozen=True, slots=True)
class PasskeyAssertion:
    """The browser's answer: ``signature`` (DER) is over authenticator data and client data."""

    client_data: bytes
    authenticator_data: bytes
    signature: bytes


def passkey_blob(x: bytes, y: bytes, relying_party: str) -> bytes:
    """Encode a P-256 passkey as OpenSSH's security key type."""
    point = _UNCOMPRESSED + x.rjust(_COORDINATE_BYTES, b"\0") + y.rjust(_COORDINATE_BYTES, b"\0")
    parts = (SK_ECDSA.encode(), b"nistp256", point, relying_party.encode())
    return b"".join(wire_string(part) for part in parts)


def passkey_challenge(statement: str) -> bytes:
    """Return the challenge whose assertion signs the statement."""
    return signed_data(statement.encode(), NAMESPACE, HASH)


def passkey_signature(key_blob: bytes, assertion: PasskeyAssertion) -> str:
    """Write an assertion as an armored SSH signature; ``verify_signature`` checks it.

    Raises:
        SignatureFormatError: not an assertion of a P-256 key.
    """
    data = assertion.authenticator_data
    if len(data) < _HEAD_BYTES:
        raise SignatureFormatError(f"the passkey's data has {len(data)} bytes, expected more")
    try:
        r, s = decode_dss_signature(assertion.signature)
        origin = str(json.loads(assertion.client_data)["origin"]).encode()
    except (ValueError, KeyError, TypeError) as error:
        raise SignatureFormatError(f"the passkey's answer is damaged: {error}") from error
    fields = (origin, assertion.client_data, data[_HEAD_BYTES:])
    signature = (
        wire_string(WEBAUTHN.encode())
        + wire_string(_multi_precision(r) + _multi_precision(s))
        + data[RP_HASH_BYTES:_HEAD_BYTES]
        + b"".join(wire_string(field) for field in fields)
    )
    return armor(SshSignature(key_blob, NAMESPACE, HASH, signature))


def _multi_precision(value: int) -> bytes:
    return wire_string(value.to_bytes(value.bit_length() // 8 + 1, "big"))
