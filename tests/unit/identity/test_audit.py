"""An audit proves each recorded decision, or names the first one that is not proven."""

import asyncio
from pathlib import Path

import pytest

from sluice.identity import IdentityError, Keyring
from sluice.identity.audit import audit_decisions
from sluice.identity.signing import SshKeygenSigner
from sluice.rollout.engine.commands import Signer
from sluice.rollout.engine.event_chain import Event
from tests.unit.identity.ssh_fixtures import (
    CONTEXT,
    keyring_line,
    keyring_of,
    make_key,
    statement_for,
)

ID = f"{CONTEXT.rollout}/{CONTEXT.run}"


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"), "ada")


@pytest.fixture(scope="module")
def keyring(ada: Path) -> Keyring:
    return keyring_of(keyring_line("ada", ada))


@pytest.fixture(scope="module")
def approval(ada: Path, keyring: Keyring) -> Event:
    proof = asyncio.run(SshKeygenSigner(ada).sign(statement_for()))
    return Event(
        at=CONTEXT.time,
        kind="approve",
        text=f"{CONTEXT.evidence}: {CONTEXT.reason}",
        actor="ada",
        step=CONTEXT.step,
        percentage=CONTEXT.percentage,
        signer=Signer(name="ada", fingerprint=keyring.entries[0].fingerprint),
        proof=proof,
        position=1,
    )


def test_proven_decision_names_the_key(approval: Event, keyring: Keyring) -> None:
    pause = Event(at=CONTEXT.time, kind="pause", text="odd", actor="eve", position=2)
    automatic = pause.model_copy(update={"actor": "sluice"})
    first, second = audit_decisions([approval, pause, automatic], ID, keyring)
    assert first.text.startswith(f"approve by ada (proven {keyring.entries[0].fingerprint})")
    assert second.text == "pause by eve (unverified): odd"


def test_without_a_keyring_signatures_are_only_listed(approval: Event) -> None:
    assert "(signed SHA256:" in audit_decisions([approval], ID, None)[0].text


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "bob"},
        {"kind": "promote"},
        {"text": "internal/12: other words"},
        {"proof": None},
        {"signer": None},
        {"signer": Signer(name="ada", fingerprint="SHA256:other")},
    ],
)
def test_changed_decision_is_not_proven(
    change: dict[str, object], approval: Event, keyring: Keyring
) -> None:
    """Whatever a row claims, the signature decides; a stripped proof is a gap."""
    changed = approval.model_copy(update=change)
    with pytest.raises(IdentityError):
        audit_decisions([approval, changed], ID, keyring)


def test_proof_of_another_run_proves_nothing(approval: Event, keyring: Keyring) -> None:
    with pytest.raises(IdentityError, match="differs from what ada signed"):
        audit_decisions([approval], f"{CONTEXT.rollout}/other", keyring)
