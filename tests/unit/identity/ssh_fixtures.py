"""Keys and keyrings made by the real ssh-keygen."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from sluice.identity import Keyring, Statement, parse_keyring
from sluice.identity.statement import statement_of
from sluice.rollout.engine.decision_context import DecisionContext

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
CONTEXT = DecisionContext(
    rollout="rollout-router",
    run="4f0c",
    plan="ab" * 32,
    verb="approve",
    step="canary",
    percentage=5,
    evidence="internal/12",
    reason="looks good",
    actor="ada",
    environment="production",
    time=NOW,
)


def run_openssh(
    *command: str, text: str = "", folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of OpenSSH; the caller looks at its return code."""
    return subprocess.run(  # noqa: S603  our own arguments
        command, input=text, cwd=folder, capture_output=True, text=True, check=False
    )


def make_key(folder: Path, name: str, key_type: str = "ed25519") -> Path:
    """Generate a private key without a passphrase; its public half is beside it."""
    path = folder / name
    command = [
        "ssh-keygen",
        "-q",
        "-t",
        key_type,
        "-N",
        "",
        "-C",
        f"{name}@laptop",
        "-f",
        str(path),
    ]
    subprocess.run(command, check=True)  # noqa: S603  our own arguments
    return path


def keyring_line(name: str, key: Path, roles: str = "approver", options: str = "") -> str:
    """Write the keyring's line for a key."""
    kind, blob, *_ = key.with_suffix(".pub").read_text(encoding="ascii").split()
    return " ".join(part for part in (name, options, kind, blob, f"roles={roles}") if part)


def keyring_of(*lines: str) -> Keyring:
    return parse_keyring("\n".join(lines))


def statement_for(context: DecisionContext = CONTEXT, nonce: str = "0" * 32) -> Statement:
    """Write the statement that fits a context."""
    return statement_of(context, nonce)
