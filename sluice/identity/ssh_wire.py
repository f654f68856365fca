"""Strings and integers of the SSH wire format (RFC 4251, section 5)."""

import base64
import hashlib

from sluice.identity.errors import SignatureFormatError

LENGTH_BYTES = 4


class WireReader:
    """A cursor over SSH wire data; every read raises SignatureFormatError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise SignatureFormatError(f"SSH data ends {end - len(self._data)} bytes too early")
        chunk, self._position = self._data[self._position : end], end
        return chunk

    def integer(self) -> int:
        return int.from_bytes(self.take(LENGTH_BYTES), "big")

    def string(self) -> bytes:
        return self.take(self.integer())

    def text(self) -> str:
        """Read a string of ASCII characters."""
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError as error:
            raise SignatureFormatError("an SSH name holds non-ASCII bytes") from error

    def multi_precision(self) -> int:
        """Read an ``mpint``; negative values do not occur in keys and signatures."""
        return int.from_bytes(self.string(), "big", signed=True)

    def finish(self) -> None:
        """Raise unless everything was read."""
        if rest := len(self._data) - self._position:
            raise SignatureFormatError(f"SSH data has {rest} bytes too many")


def wire_string(value: bytes) -> bytes:
    """Encode a length-prefixed string."""
    return len(value).to_bytes(LENGTH_BYTES, "big") + value


def fingerprint(key_blob: bytes) -> str:
    """Compute a public key's fingerprint as ``ssh-keygen -l`` prints it: ``SHA256:…``."""
    digest = base64.b64encode(hashlib.sha256(key_blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"
