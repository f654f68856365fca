"""SSHSIG signatures (OpenSSH, PROTOCOL.sshsig): parsing and verification.

Interoperates with ``ssh-keygen -Y sign`` and ``-Y verify`` for Ed25519, ECDSA, RSA and the two
security-key types. Namespace: ``sluice``.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluice.identity.errors import SignatureFormatError
from sluice.identity.ssh_keys import public_blob, verify_key_signature
from sluice.identity.ssh_wire import WireReader, fingerprint, wire_string

NAMESPACE = "sluice"
MAGIC = b"SSHSIG"
VERSION = 1
SIGNATURE_CHARACTERS_MAX = 8_000
_ARMOR = re.compile(
    r"\s*-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*"
)
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A parsed SSHSIG: who claims to have signed (``key_blob``), for what, and the signature."""

    key_blob: bytes
    namespace: str
    hash_name: str
    signature: bytes

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key_blob)


def parse_signature(armored: str) -> SshSignature:
    """Parse an armored signature.

    Raises:
        SignatureFormatError: not an SSHSIG of version 1 with a known hash.
    """
    reader = WireReader(_unarmor(armored))
    if reader.take(len(MAGIC)) != MAGIC:
        raise SignatureFormatError("the signature does not begin with SSHSIG")
    if (version := reader.integer()) != VERSION:
        raise SignatureFormatError(f"SSHSIG version {version} is not supported; expected {VERSION}")
    key_blob, namespace = reader.string(), reader.text()
    reader.string()  # reserved
    hash_name, signature = reader.text(), reader.string()
    reader.finish()
    if hash_name not in _HASHES:
        raise SignatureFormatError(f"hash {hash_name!r} is not supported; use sha256 or sha512")
    return SshSignature(key_blob, namespace, hash_name, signature)


def signed_data(message: bytes, namespace: str, hash_name: str) -> bytes:
    """Build the bytes that the key signs: not the message itself, but its hash in a namespace."""
    digest = _HASHES[hash_name](message).digest()
    parts = (namespace.encode(), b"", hash_name.encode(), digest)
    return MAGIC + b"".join(wire_string(part) for part in parts)


def is_valid_signature(signature: SshSignature, message: bytes) -> bool:
    """Return True if ``signature`` is one of ``message`` in our namespace by its own key.

    Raises:
        SignatureFormatError: the key or the signature has an unsupported type.
    """
    if signature.namespace != NAMESPACE:
        return False
    data = signed_data(message, NAMESPACE, signature.hash_name)
    return verify_key_signature(signature.key_blob, signature.signature, data)


def sign_message(key: Ed25519PrivateKey, message: bytes) -> str:
    """Sign in this process, as ``ssh-keygen -Y sign -n sluice`` does; returns armored text."""
    blob = public_blob(key.public_key())
    value = key.sign(signed_data(message, NAMESPACE, "sha512"))
    wire = wire_string(b"ssh-ed25519") + wire_string(value)
    return armor(SshSignature(blob, NAMESPACE, "sha512", wire))


def armor(signature: SshSignature) -> str:
    """Write a signature as ``ssh-keygen -Y sign`` does."""
    fields = (signature.key_blob, signature.namespace.encode(), b"", signature.hash_name.encode())
    body = MAGIC + VERSION.to_bytes(4, "big")
    body += b"".join(wire_string(field) for field in (*fields, signature.signature))
    text = base64.encodebytes(body).decode().strip()
    return f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"


def _unarmor(armored: str) -> bytes:
    if len(armored) > SIGNATURE_CHARACTERS_MAX:
        raise SignatureFormatError(f"the signature has {len(armored)} characters; too many")
    match = _ARMOR.fullmatch(armored)
    if match is None:
        raise SignatureFormatError("expected -----BEGIN SSH SIGNATURE----- and its end")
    try:
        return base64.b64decode("".join(match[1].split()), validate=True)
    except binascii.Error as error:
        raise SignatureFormatError(f"the signature's base64 is damaged: {error}") from error
