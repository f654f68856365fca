"""Verification by public key type; ``cryptography`` does the arithmetic.

A passkey is a security key whose signature covers the browser's client data, in OpenSSH's own
encoding (``webauthn-sk-ecdsa-sha2-nistp256@openssh.com``, PROTOCOL.u2f). Its origin is checked by
comparing the key's application, the relying party id, with the hash that the browser signed.
"""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)

from sluice.identity.errors import SignatureFormatError
from sluice.identity.ssh_wire import WireReader

RSA_BITS_MIN = 2048
USER_PRESENT = 0x01
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
WEBAUTHN = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
_ECDSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "ecdsa-sha2-nistp256": hashes.SHA256(),
    "ecdsa-sha2-nistp384": hashes.SHA384(),
    "ecdsa-sha2-nistp521": hashes.SHA512(),
}
_RSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "rsa-sha2-256": hashes.SHA256(),
    "rsa-sha2-512": hashes.SHA512(),
}
_KEY_OF_ALGORITHM = {
    "ssh-ed25519": "ssh-ed25519",
    SK_ED25519: SK_ED25519,
    SK_ECDSA: SK_ECDSA,
    WEBAUTHN: SK_ECDSA,
    **dict.fromkeys(_RSA_HASHES, "ssh-rsa"),
    **{name: name for name in _ECDSA_HASHES},
}
_PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def key_type(key_blob: bytes) -> str:
    """Read the type that a public key names, for example ``ssh-ed25519``."""
    return WireReader(key_blob).text()


def load_key(key_blob: bytes) -> _PublicKey:
    """Load a public key.

    Raises:
        SignatureFormatError: unsupported type, or an RSA key shorter than 2048 bits.
    """
    name = key_type(key_blob)
    if name not in _KEY_OF_ALGORITHM.values():
        raise SignatureFormatError(f"key type {name!r} is not supported; use ssh-ed25519")
    line = f"{name} {base64.b64encode(key_blob).decode()}".encode()
    try:
        key = _load_point(key_blob) if name == SK_ECDSA else load_ssh_public_key(line)
    except (ValueError, UnsupportedAlgorithm, NotImplementedError) as error:
        raise SignatureFormatError(f"the {name} key is damaged: {error}") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS_MIN:
        raise SignatureFormatError(f"the RSA key has {key.key_size} bits; at least {RSA_BITS_MIN}")
    if not isinstance(key, _PublicKey):
        raise SignatureFormatError(f"key type {name!r} is not supported; use ssh-ed25519")
    return key


def canonical_key(key_blob: bytes) -> bytes:
    """Return the same bytes for every encoding of one public key.

    SSH's integers may carry leading zeros, and a key may be listed for several applications.

    Raises:
        SignatureFormatError: as ``load_key`` does.
    """
    return load_key(key_blob).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _load_point(key_blob: bytes) -> ec.EllipticCurvePublicKey:
    """Load a P-256 security key of any application; ``cryptography`` takes ``ssh:`` alone."""
    reader = WireReader(key_blob)
    reader.text()  # the type
    if (curve := reader.text()) != "nistp256":
        raise ValueError(f"curve {curve!r}, expected nistp256")
    point, application = reader.string(), reader.string()
    reader.finish()
    if not application:
        raise ValueError("it names no application")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def public_blob(key: ed25519.Ed25519PublicKey) -> bytes:
    """Encode a public key as OpenSSH does."""
    line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def verify_key_signature(key_blob: bytes, signature: bytes, data: bytes) -> bool:
    """Return True if ``signature`` (SSH wire format) over ``data`` is by the key.

    Raises:
        SignatureFormatError: unsupported or damaged, or the algorithm is not one of the key's.
    """
    reader = WireReader(signature)
    algorithm = reader.text()
    if _KEY_OF_ALGORITHM.get(algorithm) != key_type(key_blob):
        raise SignatureFormatError(f"a {key_type(key_blob)} key does not sign with {algorithm!r}")
    value = reader.string()
    if algorithm in (SK_ED25519, SK_ECDSA, WEBAUTHN):
        data = _security_key_data(key_blob, reader, algorithm, data)
    reader.finish()
    try:
        _verify(load_key(key_blob), algorithm, value, data)
    except InvalidSignature:
        return False
    return True


def _verify(key: _PublicKey, algorithm: str, value: bytes, data: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(value, data)
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(value, data, padding.PKCS1v15(), _RSA_HASHES[algorithm])
    else:
        hash_algorithm = _ECDSA_HASHES.get(algorithm, hashes.SHA256())
        key.verify(_der_signature(value), data, ec.ECDSA(hash_algorithm))


def _der_signature(value: bytes) -> bytes:
    reader = WireReader(value)
    r, s = reader.multi_precision(), reader.multi_precision()
    reader.finish()
    if r < 0 or s < 0:
        raise SignatureFormatError("the ECDSA signature holds a negative number")
    return encode_dss_signature(r, s)


def _security_key_data(
    key_blob: bytes, reader: WireReader, algorithm: str, message: bytes
) -> bytes:
    """Build what the security key signed: application hash, flags, counter, message hash."""
    flags, counter = reader.take(1), reader.take(4)
    if not flags[0] & USER_PRESENT:
        raise SignatureFormatError("the security key signed without a touch")
    extensions = b""
    if algorithm == WEBAUTHN:
        message, extensions = _client_data(reader, message)
    application = hashlib.sha256(_application(key_blob)).digest()
    return application + flags + counter + extensions + hashlib.sha256(message).digest()


def _client_data(reader: WireReader, message: bytes) -> tuple[bytes, bytes]:
    """Return the browser's client data, which must hold ``message`` as challenge, and extensions."""
    origin, client_data, extensions = reader.string(), reader.string(), reader.string()
    challenge = base64.urlsafe_b64encode(message).rstrip(b"=")
    expected = b'{"type":"webauthn.get","challenge":"' + challenge + b'","origin":"' + origin + b'"'
    if not client_data.startswith(expected):
        raise SignatureFormatError("the passkey signed another statement")
    return client_data, extensions


def _application(key_blob: bytes) -> bytes:
    reader = WireReader(key_blob)
    if reader.text() == SK_ECDSA:
        reader.string()  # curve
    reader.string()  # public key
    application = reader.string()
    reader.finish()
    return application
