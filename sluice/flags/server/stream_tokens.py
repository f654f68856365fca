"""Tokens in the address of the event stream: a browser's EventSource cannot send a key in a header.

A token is `KEYID.EXPIRY.SIGNATURE`, signed with the hash of the caller's API key: each server with
the same keys accepts it, and it ends with the key. The expiry is a multiple of half a day, so that
the address, and with it the ETag of a bulk answer, seldom changes.
"""

from __future__ import annotations

import hashlib
import hmac
import math

ROTATION_SECONDS = 12 * 3600
"""A token lives one to two of these."""
_KEY_ID_LENGTH = 16
_EXPIRY_DIGITS_MAX = 12


def issue_token(key_hash: str, now: float) -> str:
    """Return a token of the key whose SHA-256 this is."""
    expiry = (math.floor(now / ROTATION_SECONDS) + 2) * ROTATION_SECONDS
    return _format_token(key_hash, expiry)


def is_valid_token(token: str, key_hash: str, now: float) -> bool:
    """Return True if the key issued the token and it has not expired."""
    _, _, rest = token.partition(".")
    expiry = rest.partition(".")[0]
    is_time = expiry.isascii() and expiry.isdecimal() and len(expiry) <= _EXPIRY_DIGITS_MAX
    if not (is_time and now < int(expiry)):
        return False
    return hmac.compare_digest(token.encode(), _format_token(key_hash, int(expiry)).encode())


def _format_token(key_hash: str, expiry: int) -> str:
    message = f"sluice event stream {expiry}".encode()
    signature = hmac.new(key_hash.encode(), message, hashlib.sha256).hexdigest()
    return f"{key_hash[:_KEY_ID_LENGTH]}.{expiry}.{signature}"
