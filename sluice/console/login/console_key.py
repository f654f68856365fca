"""The console's own Ed25519 key, with which it vouches for the people who log in by OIDC."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from sluice.console.settings import ConsoleSettingsError

NAME = "console"


def load_console_key(path: Path) -> Ed25519PrivateKey:
    """Load the key; create it, readable by this user only, when the file is missing.

    Raises:
        ConsoleSettingsError: not an Ed25519 key without a passphrase, or not readable.
    """
    try:
        if not path.exists():
            _create(path)
        key = load_ssh_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConsoleSettingsError(f"SLUICE_CONSOLE_KEY={path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConsoleSettingsError(
            f"SLUICE_CONSOLE_KEY={path} must be an Ed25519 key: ssh-keygen -t ed25519 -N '' -f {path}"
        )
    return key


def gateway_line(key: Ed25519PrivateKey) -> str:
    """Write the keyring's line that lets the worker accept what this console vouches for."""
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f'{NAME} namespaces="sluice" {public} roles=gateway'


def _create(path: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
