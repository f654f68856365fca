"""The document as a reader may serve it: what no trusted key has signed can only be lowered.

Each changed flag is verified once, when its document arrives. Evaluation does not verify anything.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Sequence

from sluice.flags.document import FlagDocument, FlagState, RouterPhases
from sluice.flags.signatures.keys import public_key
from sluice.flags.signatures.messages import flag_message, phases_message

logger = logging.getLogger(__name__)


class TrustFilter:
    """Filters the documents of one environment, in the order in which they are served.

    A signed flag that is older than the served one is a replay, and is treated as unsigned.
    """

    def __init__(self, public_keys: Sequence[bytes], environment: str) -> None:
        self._keys = [public_key(raw) for raw in public_keys]
        self._environment = environment
        self._accepted: dict[str, tuple[FlagState, FlagState]] = {}
        """For each flag: as stored, and as served."""
        self._phases = RouterPhases()
        self._phases_version = 0
        self._versions: dict[str, int] = {}
        """The newest version that each flag was served at; kept when the flag is deleted."""

    def apply(self, document: FlagDocument) -> FlagDocument:
        """Return the document with each unsigned part lowered to what was served before."""
        flags = {name: self._flag(name, flag, document) for name, flag in document.flags.items()}
        self._accepted = {name: (document.flags[name], flag) for name, flag in flags.items()}
        return document.model_copy(update={"flags": flags, "phases": self.served_phases(document)})

    def _flag(self, name: str, stored: FlagState, document: FlagDocument) -> FlagState:
        if name in self._accepted and self._accepted[name][0] == stored:
            return self._accepted[name][1]
        version = self._versions.get(name, 0)
        is_named = stored.name == name
        if stored.version > version and is_named and self.is_signed(stored):
            self._versions[name] = stored.version
            return stored
        self._versions[name] = max(version, min(stored.version, document.version))
        logger.warning("flag %s has no new valid signature: it can only be lowered", name)
        accepted_flag = self._accepted[name][1] if name in self._accepted else None
        return lower_flag(accepted_flag or FlagState(name=name), stored)

    def is_signed(self, flag: FlagState) -> bool:
        """Return True if a trusted key has signed exactly this flag."""
        return self._verify(flag.signature, flag_message(flag, self._environment))

    def served_phases(self, document: FlagDocument) -> RouterPhases:
        """Return the phases to serve: the stored ones if they are signed or expose no more."""
        if document.phases == self._phases:
            return self._phases
        message = phases_message(document, self._environment)
        is_newer = document.phases_version > self._phases_version
        if is_newer and self._verify(document.phases_signature, message):
            self._phases_version = document.phases_version
            self._phases = document.phases
        else:
            bound = min(document.phases_version, document.version)
            self._phases_version = max(self._phases_version, bound)
            self._phases = lower_phases(self._phases, document.phases)
        return self._phases

    def _verify(self, signature: str, message: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - optional

        try:
            value = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        for key in self._keys if value else ():
            try:
                key.verify(value, message)
            except InvalidSignature:
                continue
            return True
        return False


def lower_flag(served: FlagState, stored: FlagState) -> FlagState:
    """Return `stored` without anything that treats a user whom `served` does not treat."""
    if stored.hash_version != served.hash_version:
        served = served.model_copy(update={"rollout_percentage": 0.0})
    return stored.model_copy(
        update={
            "name": served.name,
            "default_enabled": stored.default_enabled and served.default_enabled,
            "rollout_percentage": min(stored.rollout_percentage, served.rollout_percentage),
            "whitelist": stored.whitelist & served.whitelist,
            "blacklist": stored.blacklist | served.blacklist,
            "killed": stored.killed or served.killed,
            "killed_by": stored.killed_by if stored.killed_by == served.killed_by else None,
            "confirmed": stored.confirmed and served.confirmed,
            "on_stale": "off" if "off" in (stored.on_stale, served.on_stale) else "hold",
        }
    )


def lower_phases(served: RouterPhases, stored: RouterPhases) -> RouterPhases:
    """Return the stored phases if they expose no more than the served ones, else the served ones."""
    if stored.enable_online_learning and not served.enable_online_learning:
        return served
    if stored.treats_everyone and not served.treats_everyone:
        return served
    return stored
