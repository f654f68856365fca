"""The Ed25519 keys of flag signatures, as OpenSSH writes them: `ssh-keygen -t ed25519`.

`cryptography` is loaded only where a key is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.flags.errors import InvalidFlagError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNING_KEY = "SLUICE_FLAGS_SIGNING_KEY"
PUBLIC_KEYS = "SLUICE_FLAGS_PUBLIC_KEYS"


class FlagKeyError(InvalidFlagError):
    """A key of flag signatures that cannot be used; the message names the variable."""


def load_signing_key(variables: Mapping[str, str]) -> Ed25519PrivateKey | None:
    """Load the private key in the file that SLUICE_FLAGS_SIGNING_KEY names; None when it is not set.

    Raises:
        FlagKeyError: not an Ed25519 key without a passphrase, or not readable.
    """
    path = variables.get(SIGNING_KEY)
    if not path:
        return None
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - optional
            Ed25519PrivateKey,
        )
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - optional
            load_ssh_private_key,
        )

        key = load_ssh_private_key(Path(path).expanduser().read_bytes(), None)
    except (ImportError, OSError, ValueError, TypeError) as error:
        raise FlagKeyError(f"{SIGNING_KEY}={path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise FlagKeyError(f"{SIGNING_KEY}={path} must be an Ed25519 key: ssh-keygen -t ed25519")
    return key


def load_public_keys(variables: Mapping[str, str]) -> tuple[bytes, ...]:
    """Load the keys that readers trust, from the file that SLUICE_FLAGS_PUBLIC_KEYS names.

    The file has a line `ssh-ed25519 AAAA… comment` for each key. Empty when the variable is not set.

    Raises:
        FlagKeyError: the file holds no key, or a line that is not an Ed25519 key.
    """
    path = variables.get(PUBLIC_KEYS)
    if not path:
        return ()
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").split("\n")
        keys = [_parse_line(line) for line in lines if line.strip() and not line.startswith("#")]
    except (ImportError, OSError, ValueError) as error:
        raise FlagKeyError(f"{PUBLIC_KEYS}={path}: {error}") from error
    if not keys:
        raise FlagKeyError(f"{PUBLIC_KEYS}={path} holds no key; no flag could be raised")
    return tuple(keys)


def public_key(raw: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - optional
        Ed25519PublicKey,
    )

    return Ed25519PublicKey.from_public_bytes(raw)


def _parse_line(line: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - optional
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - optional
        load_ssh_public_key,
    )

    try:
        key = load_ssh_public_key(line.strip().encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{line.split(maxsplit=1)[0]} is not ssh-ed25519")  # noqa: TRY004  a value of a file
    return key.public_bytes_raw()
