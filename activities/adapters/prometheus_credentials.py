"""Credentials for a Prometheus, or for what speaks its API: Grafana Cloud, Mimir, Thanos, VictoriaMetrics."""

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

HEADERS_VARIABLE = "PROMETHEUS_HEADERS"
TOKEN_VARIABLE = "PROMETHEUS_TOKEN"
USERNAME_VARIABLE, PASSWORD_VARIABLE = "PROMETHEUS_USERNAME", "PROMETHEUS_PASSWORD"
CA_VARIABLE = "PROMETHEUS_CA_FILE"
CERTIFICATE_VARIABLE, KEY_VARIABLE = "PROMETHEUS_CLIENT_CERTIFICATE", "PROMETHEUS_CLIENT_KEY"


@dataclass(frozen=True)
class PrometheusCredentials:
    """Headers and certificates of every request. Its ``repr`` shows none of the values."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""
    client_certificate: tuple[str, str] | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the ``PROMETHEUS_*`` variables (docs/configuration.md).

        Raises:
            ValueError: names the variable that cannot be used, without its value.
        """
        headers = _parse_headers(environment.get(HEADERS_VARIABLE, ""))
        if authorization := _authorization(environment):
            headers["Authorization"] = authorization
        certificate = environment.get(CERTIFICATE_VARIABLE, "")
        key = environment.get(KEY_VARIABLE, "")
        if bool(certificate) != bool(key):
            raise ValueError(f"set both {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}, or neither")
        for variable in (CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE):
            path = environment.get(variable, "")
            if path and not Path(path).is_file():
                raise ValueError(f"{variable}={path}: the file does not exist")
        client_certificate = (certificate, key) if certificate else None
        return cls(headers, environment.get(CA_VARIABLE, ""), client_certificate)

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings for httpx."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.client_certificate is not None:
            context.load_cert_chain(*self.client_certificate)
        return context


NO_CREDENTIALS = PrometheusCredentials()


def require_prometheus_url(url: str) -> str:
    """Return the URL without a trailing slash.

    Raises:
        ValueError: it is not an http(s) address, or holds a password, which would be logged.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError(
            f"PROMETHEUS_URL holds a user: set {USERNAME_VARIABLE} and {PASSWORD_VARIABLE} instead"
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"PROMETHEUS_URL {url!r}: write for example http://localhost:9090")
    return url.rstrip("/")


def _authorization(environment: Mapping[str, str]) -> str:
    token = environment.get(TOKEN_VARIABLE, "")
    username, password = (environment.get(v, "") for v in (USERNAME_VARIABLE, PASSWORD_VARIABLE))
    if token and (username or password):
        raise ValueError(f"set {TOKEN_VARIABLE}, or {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}")
    if bool(username) != bool(password):
        raise ValueError(f"set both {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}, or neither")
    if token:
        return f"Bearer {token}"
    if username:
        return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    return ""


def _parse_headers(text: str) -> dict[str, str]:
    """Parse ``name=value,name=value``, as OpenTelemetry's variables of headers are written."""
    headers: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ValueError(f"{HEADERS_VARIABLE}: write NAME=VALUE, joined by commas")
        headers[name.strip()] = value.strip()
    return headers
