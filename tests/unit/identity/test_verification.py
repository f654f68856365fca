"""A proof authorizes one decision of one person, and nothing else."""

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from sluice.identity import (
    ProofRejectedError,
    SignatureFormatError,
    StatementError,
    encode_statement,
    parse_keyring,
    verify_proof,
)
from sluice.identity.signing import SshKeygenSigner
from sluice.identity.sshsig import sign_message
from sluice.identity.verification import may_still_approve
from sluice.rollout.engine.commands import Proof
from tests.unit.identity.ssh_fixtures import (
    CONTEXT,
    keyring_line,
    keyring_of,
    make_key,
    run_openssh,
    statement_for,
)


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"), "ada")


@pytest.fixture(scope="module")
def proof(ada: Path) -> Proof:
    return asyncio.run(SshKeygenSigner(ada).sign(statement_for()))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
async def test_signature_of_ssh_keygen_names_person_and_key(kind: str, tmp_path: Path) -> None:
    """Each key type that people have authorizes; the fingerprint is the one of ssh-keygen -l."""
    key = make_key(tmp_path, "ada", kind)
    signed = await SshKeygenSigner(key).sign(statement_for())
    signer = verify_proof(signed, keyring_of(keyring_line("ada", key)), CONTEXT)
    listed = run_openssh("ssh-keygen", "-l", "-f", str(key)).stdout
    assert signer.name == "ada"
    assert signer.fingerprint in listed


def test_openssh_verifies_our_signature_with_our_keyring(ada: Path, tmp_path: Path) -> None:
    """An auditor needs only ssh-keygen -Y verify and the keyring."""
    key = load_ssh_private_key(ada.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    text = encode_statement(statement_for())
    (tmp_path / "sig").write_text(sign_message(key, text.encode()), encoding="ascii")
    options = 'namespaces="sluice",valid-after="20260101Z"'
    line = keyring_line("ada", ada, "approver,operator", options)
    (tmp_path / "keyring").write_text(line + "\n", encoding="ascii")
    command = ("ssh-keygen", "-Y", "verify", "-n", "sluice", "-I", "ada", "-f", "keyring")
    good = run_openssh(*command, "-s", "sig", text=text, folder=tmp_path)
    bad = run_openssh(*command, "-s", "sig", text=text + " ", folder=tmp_path)
    assert good.returncode == 0, good.stderr
    assert bad.returncode != 0


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """Start a real ssh-agent with its own socket."""
    socket = tmp_path / "agent.sock"
    process = subprocess.Popen(  # noqa: S603
        ["ssh-agent", "-D", "-a", str(socket)],  # noqa: S607
        stdout=subprocess.DEVNULL,
    )
    try:
        while not socket.exists():
            assert process.poll() is None
        yield str(socket)
    finally:
        process.terminate()
        process.wait()


async def test_ssh_agent_signs_without_the_private_key_file(
    agent: str, ada: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private key stays in the agent: the CLI needs the public half only."""
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    assert run_openssh("ssh-add", "-q", str(ada)).returncode == 0
    public = tmp_path / "only.pub"
    public.write_bytes(ada.with_suffix(".pub").read_bytes())
    signed = await SshKeygenSigner(public).sign(statement_for())
    assert verify_proof(signed, keyring_of(keyring_line("ada", ada)), CONTEXT).name == "ada"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run", "other-run"),
        ("rollout", "rollout-other"),
        ("plan", "cd" * 32),
        ("verb", "promote"),
        ("step", "half"),
        ("percentage", 25.0),
        ("evidence", "internal/13"),
        ("reason", "looks fine to me"),
        ("item", "backup"),
        ("target", "internal"),
        ("actor", "bob"),
    ],
)
def test_statement_authorizes_no_other_decision(
    field: str, value: object, proof: Proof, ada: Path
) -> None:
    """A replay to another run, step, evidence or reason names the field that differs."""
    context = CONTEXT.model_copy(update={field: value})
    with pytest.raises(ProofRejectedError, match=f"signs {field} "):
        verify_proof(proof, keyring_of(keyring_line("ada", ada)), context)


def test_altered_statement_breaks_the_signature(proof: Proof, ada: Path) -> None:
    """Changing statement and decision alike does not help: the signature covers the reason."""
    text = proof.statement.replace("looks good", "looks baad")
    context = CONTEXT.model_copy(update={"reason": "looks baad"})
    with pytest.raises(ProofRejectedError, match="does not fit the statement"):
        verify_proof(
            Proof(statement=text, signature=proof.signature),
            keyring_of(keyring_line("ada", ada)),
            context,
        )


def test_statement_works_once(proof: Proof, ada: Path) -> None:
    """A second use on the same run and evidence is a replay."""
    context = CONTEXT.model_copy(update={"nonces": frozenset({"0" * 32})})
    with pytest.raises(ProofRejectedError, match="used before"):
        verify_proof(proof, keyring_of(keyring_line("ada", ada)), context)


@pytest.mark.parametrize(("minutes", "message"), [(11, "s old"), (-3, "in the future")])
def test_statement_is_fresh(minutes: int, message: str, proof: Proof, ada: Path) -> None:
    """A statement kept for later, or dated ahead, authorizes nothing."""
    context = CONTEXT.model_copy(update={"time": CONTEXT.time + timedelta(minutes=minutes)})
    with pytest.raises(ProofRejectedError, match=message):
        verify_proof(proof, keyring_of(keyring_line("ada", ada)), context)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("bob", "approver", ""), "actor is ada"),
        (("ada", "operator", ""), "ada may not approve"),
        (("ada", "viewer", ""), "ada may not approve"),
        (("ada", "approver", 'valid-before="20261130Z"'), "not valid now"),
        (("ada", "approver", 'valid-after="20261201Z"'), "not valid now"),
        (("ada", "approver environments=staging", ""), "no rights in environment production"),
    ],
)
def test_key_must_be_valid_and_have_the_role(
    line: tuple[str, str, str], message: str, proof: Proof, ada: Path
) -> None:
    """Another person's, an expired, a future or a lesser key does not approve."""
    name, roles, options = line
    with pytest.raises(ProofRejectedError, match=message):
        verify_proof(proof, keyring_of(keyring_line(name, ada, roles, options)), CONTEXT)


def test_revoked_key_and_swapped_keyring_authorize_nothing(
    proof: Proof, ada: Path, tmp_path: Path
) -> None:
    """A removed line counts at once; another key under the same name does not help."""
    other = make_key(tmp_path, "other")
    for keyring in (parse_keyring(""), keyring_of(keyring_line("ada", other))):
        with pytest.raises(ProofRejectedError, match="not in the keyring"):
            verify_proof(proof, keyring, CONTEXT)


async def test_signature_for_another_program_is_refused(ada: Path, tmp_path: Path) -> None:
    """A signature made for git must not be valid here."""
    text = tmp_path / "statement"
    text.write_text(encode_statement(statement_for()), encoding="ascii")
    run_openssh("ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(ada), str(text))
    signature = (tmp_path / "statement.sig").read_text(encoding="ascii")
    forged = Proof(statement=text.read_text(encoding="ascii"), signature=signature)
    with pytest.raises(ProofRejectedError, match="does not fit"):
        verify_proof(forged, keyring_of(keyring_line("ada", ada)), CONTEXT)


def test_console_vouches_within_its_limits(ada: Path) -> None:
    """The gateway's key authorizes a person's login, marked with the gateway; roles still count."""
    key = load_ssh_private_key(ada.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    context = CONTEXT.model_copy(update={"actor": "eve@example.org"})
    text = encode_statement(statement_for(context))
    vouched = Proof(statement=text, signature=sign_message(key, text.encode()))
    signer = verify_proof(
        vouched, keyring_of(keyring_line("console", ada, "gateway,approver")), context
    )
    assert signer.name == "eve@example.org"
    assert signer.gateway
    with pytest.raises(ProofRejectedError, match="may not approve"):
        verify_proof(vouched, keyring_of(keyring_line("console", ada, "gateway")), context)


@pytest.mark.parametrize(
    ("actor", "line"),
    [
        ("bob", ("bob", "approver", 'valid-before="20261130Z"')),
        ("bob", ("bob", "approver environments=staging", "")),
        ("Bob", ("bob", "approver", "")),
        ("bob\u2060", ("bob", "approver", "")),
    ],
)
def test_login_gives_no_more_than_the_lines_of_the_person(
    actor: str, line: tuple[str, str, str], ada: Path, tmp_path: Path
) -> None:
    """A person with a line, in whatever spelling, never gets the roles for people without one."""
    key = load_ssh_private_key(ada.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    context = CONTEXT.model_copy(update={"actor": actor})
    text = encode_statement(statement_for(context))
    vouched = Proof(statement=text, signature=sign_message(key, text.encode()))
    name, roles, options = line
    own = keyring_line(name, make_key(tmp_path, "bob"), roles, options)
    keyring = keyring_of(keyring_line("console", ada, "gateway,approver"), own)
    with pytest.raises(ProofRejectedError, match="no role that is valid now"):
        verify_proof(vouched, keyring, context)
    fingerprint = f"{keyring.entries[0].fingerprint}/{actor}"
    assert not may_still_approve(actor, fingerprint, keyring, "production", CONTEXT.time)


@pytest.mark.parametrize("cut", [0, 40, 120, 200])
def test_damaged_signature_is_an_error_of_its_own(cut: int, proof: Proof, ada: Path) -> None:
    """A truncated signature is refused with a reason, never with a crash."""
    damaged = proof.model_copy(update={"signature": proof.signature[:cut]})
    with pytest.raises(SignatureFormatError):
        verify_proof(damaged, keyring_of(keyring_line("ada", ada)), CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        encode_statement(statement_for()).replace(",", ", "),
        encode_statement(statement_for()).replace('"verb"', '"verb":"abort","verb"'),
        encode_statement(statement_for()).replace("08:00:00Z", "08:00:00"),
    ],
)
def test_statement_must_be_canonical(text: str, proof: Proof, ada: Path) -> None:
    """Two readers can't see two meanings in one statement: duplicate keys are refused."""
    with pytest.raises(StatementError):
        verify_proof(
            proof.model_copy(update={"statement": text}),
            keyring_of(keyring_line("ada", ada)),
            CONTEXT,
        )
