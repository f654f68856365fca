"""A Prometheus behind TLS, client certificates and a password answers with credentials only."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from activities.adapters.prometheus import PrometheusMetrics
from activities.adapters.prometheus_credentials import PrometheusCredentials
from activities.contract.errors import MetricsQueryError, MetricsUnreachableError
from tests.free_port import free_port

pytestmark = pytest.mark.integration
HASH_OF_S3CRET = "$2b$04$XhtlCvfpOBiu/tsY5yxJROb8BAqyHGA6LnnMW.mHtb5aahoCLud9C"
WEB = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
basic_auth_users: {{me: {hash}}}
"""


def write_certificate(folder: Path, name: str, issuer: str = "") -> None:
    """Write a key and a certificate, signed by `issuer` (its own, without one)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing, signer = key, subject
    if issuer:
        loaded = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signing = loaded
        signer = x509.load_pem_x509_certificate((folder / f"{issuer}.pem").read_bytes()).subject
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, pkcs8, plain))
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """Start a Prometheus that asks for a client certificate and a password."""
    program = shutil.which("prometheus")
    assert program is not None, "apt-get install prometheus"
    write_certificate(tmp_path, "ca")
    for name in ("server", "client"):
        write_certificate(tmp_path, name, "ca")
    (tmp_path / "web.yml").write_text(WEB.format(hash=HASH_OF_S3CRET))
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    port = free_port()
    arguments = [
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.config.file={tmp_path / 'web.yml'}",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        "--log.level=error",
    ]
    process = subprocess.Popen([program, *arguments], cwd=tmp_path)  # noqa: S603  a fixed program
    url = f"https://localhost:{port}"
    try:
        wait_until_ready(url, credentials(tmp_path))
        yield url
    finally:
        process.terminate()
        process.wait()


def credentials(folder: Path, **changes: str) -> PrometheusCredentials:
    variables = {
        "PROMETHEUS_USERNAME": "me",
        "PROMETHEUS_PASSWORD": "s3cret",
        "PROMETHEUS_CA_FILE": str(folder / "ca.pem"),
        "PROMETHEUS_CLIENT_CERTIFICATE": str(folder / "client.pem"),
        "PROMETHEUS_CLIENT_KEY": str(folder / "client.key"),
    }
    return PrometheusCredentials.from_environment(variables | changes)


def wait_until_ready(url: str, known: PrometheusCredentials) -> None:
    with httpx.Client(headers=dict(known.headers), verify=known.ssl_context()) as client:
        for _ in range(300):
            with suppress(httpx.TransportError):
                if client.get(f"{url}/-/ready").status_code == 200:
                    return
            time.sleep(0.1)
    raise AssertionError("Prometheus did not start")


def test_only_whole_credentials_are_answered(guarded: str, tmp_path: Path) -> None:
    """A refusal names the address and the status, and neither user nor password."""
    at = datetime.now(UTC)
    with PrometheusMetrics(guarded, credentials(tmp_path)) as metrics:
        assert metrics.query("vector(7)", at) == 7
    wrong = {
        "password": credentials(tmp_path, PROMETHEUS_PASSWORD="wr0ng"),  # noqa: S106  a wrong one
        "certificate": credentials(
            tmp_path, PROMETHEUS_CLIENT_CERTIFICATE="", PROMETHEUS_CLIENT_KEY=""
        ),
        "authority": credentials(tmp_path, PROMETHEUS_CA_FILE=""),
    }
    for known in wrong.values():
        with (
            PrometheusMetrics(guarded, known) as metrics,
            pytest.raises((MetricsUnreachableError, MetricsQueryError)) as refused,
        ):
            metrics.query("vector(7)", at)
        assert "s3cret" not in str(refused.value)
        assert "wr0ng" not in str(refused.value)
