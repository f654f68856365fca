"""Signing on the command line: ssh-keygen, and through it ssh-agent and hardware keys."""

import asyncio
import shutil
from pathlib import Path

from sluice.identity.errors import SigningError
from sluice.identity.sshsig import NAMESPACE
from sluice.identity.statement import Statement, encode_statement
from sluice.identity.verification import Proof

SIGN_SECONDS_MAX = 60
"""Time for a person to type a passphrase or to touch a hardware key."""


async def sign_statement(statement: Statement, key: Path) -> Proof:
    """Sign with a private key file, or with the public key of one that ssh-agent holds.

    Raises:
        SigningError: ssh-keygen is missing, takes too long, or refuses.
    """
    text = encode_statement(statement)
    signature = await _run_ssh_keygen(text.encode(), key)
    return Proof(statement=text, signature=signature)


async def _run_ssh_keygen(message: bytes, key: Path) -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SigningError("ssh-keygen is not installed; install openssh-client")
    arguments = (program, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(SIGN_SECONDS_MAX):
            output, problem = await process.communicate(message)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise SigningError(f"ssh-keygen did not sign within {SIGN_SECONDS_MAX} s") from error
    if process.returncode != 0:
        text = problem.decode(errors="replace").strip()
        raise SigningError(f"ssh-keygen could not sign with {key}: {text}")
    return output.decode("ascii")
