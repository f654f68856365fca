"""Signed webhooks by the Standard Webhooks specification 1.0 (standardwebhooks.com).

Receivers can check them with any library for it, or with ``is_authentic`` below.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

SECRET_PREFIX = "whsec_"
TOLERANCE_SECONDS = 300


def signature(secret: str, key: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over key, time in epoch seconds, and body; ``secret`` may be ``whsec_`` base64."""
    signed = f"{key}.{timestamp}.".encode() + body
    digest = hmac.new(_secret_bytes(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(secret: str, key: str, timestamp: int, body: bytes) -> dict[str, str]:
    return {
        "webhook-id": key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, key, timestamp, body),
    }


def is_authentic(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Return True if the signature is ours and the timestamp at most 300 s from ``now``."""
    try:
        timestamp = int(headers["webhook-timestamp"])
        key, signatures = headers["webhook-id"], headers["webhook-signature"].split()
    except (KeyError, ValueError):
        return False
    expected = signature(secret, key, timestamp, body)
    fresh = abs(now - timestamp) <= TOLERANCE_SECONDS
    return fresh and any(hmac.compare_digest(expected, candidate) for candidate in signatures)


def _secret_bytes(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return secret.encode()
