"""The file of the passkeys that people have added to this console; it holds public keys only."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from sluice.identity.ssh_keys import SK_ECDSA
from sluice.identity.ssh_wire import fingerprint


class Passkey(BaseModel):
    """One person's passkey; ``credential`` and ``public_key`` (COSE) are base64url."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actor: str
    credential: str
    public_key: str
    key_blob: str
    sign_count: int = 0

    @property
    def blob(self) -> bytes:
        return base64.b64decode(self.key_blob)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)

    @property
    def keyring_line(self) -> str:
        """Line that lets this passkey decide; the keeper of the keyring chooses the roles."""
        return f'{self.actor} namespaces="sluice" {SK_ECDSA} {self.key_blob} roles=approver'


_FILE = TypeAdapter(tuple[Passkey, ...])


class PasskeyFile:
    """Passkeys by person."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[Passkey, ...]:
        try:
            return _FILE.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return ()

    def of(self, actor: str) -> Sequence[Passkey]:
        return [passkey for passkey in self.all() if passkey.actor == actor]

    def put(self, passkey: Passkey) -> None:
        """Add a passkey, or replace the one with its credential."""
        rest = [p for p in self.all() if p.credential != passkey.credential]
        self._write([*rest, passkey])

    def remove(self, actor: str, credential: str) -> None:
        """Forget one of a person's passkeys; the keyring's line is removed where it is kept."""
        self._write([p for p in self.all() if (p.actor, p.credential) != (actor, credential)])

    def _write(self, passkeys: Sequence[Passkey]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_FILE.dump_json(tuple(passkeys), indent=1))
        temporary.replace(self._path)
