"""Settings of the console, read once from the environment."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from sluice.identity.keyring import Role

DEFAULT_PORT = 8300
LOGIN_ROLES = (Role.VIEWER, Role.OPERATOR, Role.APPROVER)
"""Roles that a login may have; ``gateway`` belongs to the console's key alone."""

_OIDC_VARIABLES = {
    "client_id": "SLUICE_OIDC_CLIENT_ID",
    "client_secret": "SLUICE_OIDC_CLIENT_SECRET",
    "scope": "SLUICE_OIDC_SCOPE",
    "name_claim": "SLUICE_OIDC_NAME_CLAIM",
    "roles_claim": "SLUICE_OIDC_ROLES_CLAIM",
}


class ConsoleSettingsError(Exception):
    """A variable of the console's settings that cannot be used; the message names it."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OidcSettings(_Settings):
    """An OpenID provider. ``roles`` maps values of the claim ``roles_claim`` to roles."""

    issuer: str
    client_id: str
    client_secret: str = ""
    scope: str = "openid email profile"
    name_claim: str = "email"
    roles_claim: str = "roles"
    roles: Mapping[str, Role]


class ConsoleSettings(_Settings):
    """``origin`` is the address that browsers use, without a path: ``https://sluice.example.org``.

    ``local_actor`` is the person whom the one-time login link logs in; empty switches it off.
    ``signing_key`` is that person's SSH key. ``home`` holds the console's key and the passkeys.
    ``slack_people`` maps Slack's user ids to names in the keyring.
    """

    origin: str
    home: Path
    console_key: Path
    environment: str = "default"
    local_actor: str = ""
    names_are_claims: bool = True
    oidc: OidcSettings | None = None
    slack_signing_secret: str = ""
    slack_people: Mapping[str, str] = {}
    signing_key: Path | None = None

    @property
    def is_https(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """Name of the session cookie; ``__Host-`` binds it to this host where HTTPS allows it."""
        return "__Host-sluice" if self.is_https else "sluice"

    @property
    def relying_party(self) -> str:
        """Domain that passkeys belong to; empty where browsers offer none: on an IP address."""
        host = urlsplit(self.origin).hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host if self.is_https or host == "localhost" else ""
        return ""


def read_settings(
    environment: Mapping[str, str], address: tuple[str, int], local_actor: str, home: Path
) -> ConsoleSettings:
    """Read the settings; ``home`` is the folder for the console's own files.

    Raises:
        ConsoleSettingsError: it names the variable, its value and the expected form.
    """
    host, port = address
    origin = _read_origin("SLUICE_CONSOLE_URL", environment) or f"http://{host}:{port}"
    return ConsoleSettings(
        origin=origin,
        home=home,
        environment=environment.get("SLUICE_ENVIRONMENT", "default"),
        local_actor=local_actor,
        names_are_claims=not environment.get("SLUICE_KEYRING"),
        oidc=_read_oidc(environment),
        slack_signing_secret=environment.get("SLUICE_SLACK_SIGNING_SECRET", ""),
        slack_people=_read_slack_people(environment),
        signing_key=_read_path("SLUICE_SIGNING_KEY", environment),
        console_key=_read_path("SLUICE_CONSOLE_KEY", environment) or home / "key",
    )


def _read_origin(variable: str, environment: Mapping[str, str]) -> str:
    origin = environment.get(variable, "").rstrip("/")
    parts = urlsplit(origin)
    if origin and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path):
        raise ConsoleSettingsError(
            f"{variable}={origin!r} must be an origin such as https://sluice.example.org"
        )
    return origin


def _read_path(variable: str, environment: Mapping[str, str]) -> Path | None:
    text = environment.get(variable)
    return Path(text).expanduser() if text else None


def _read_oidc(environment: Mapping[str, str]) -> OidcSettings | None:
    issuer = environment.get("SLUICE_OIDC_ISSUER", "").rstrip("/")
    if not issuer:
        return None
    if urlsplit(issuer).scheme not in ("http", "https") or not urlsplit(issuer).netloc:
        raise ConsoleSettingsError(f"SLUICE_OIDC_ISSUER={issuer!r} must be an http(s) address")
    if not environment.get("SLUICE_OIDC_CLIENT_ID"):
        raise ConsoleSettingsError("SLUICE_OIDC_CLIENT_ID is empty; the provider gives it out")
    values = {f: environment[v] for f, v in _OIDC_VARIABLES.items() if environment.get(v)}
    return OidcSettings(issuer=issuer, roles=_read_roles(environment), **values)


def _read_slack_people(environment: Mapping[str, str]) -> dict[str, str]:
    """Read ``USER=person,…``: Slack's user ids and the keyring's names."""
    people: dict[str, str] = {}
    for entry in filter(None, environment.get("SLUICE_SLACK_PEOPLE", "").split(",")):
        user, _, person = entry.strip().partition("=")
        if not user or not person:
            raise ConsoleSettingsError(
                f"SLUICE_SLACK_PEOPLE: {entry.strip()!r} must be USER=PERSON, as U012AB3CD=ada"
            )
        people[user] = person
    return people


def _read_roles(environment: Mapping[str, str]) -> dict[str, Role]:
    """Read ``group=role,…``; without the variable the claim holds the roles' own names."""
    text = environment.get("SLUICE_OIDC_ROLES", "")
    if not text:
        return {role.value: role for role in LOGIN_ROLES}
    roles: dict[str, Role] = {}
    for entry in text.split(","):
        group, _, role = entry.strip().rpartition("=")
        if not group or role not in LOGIN_ROLES:
            raise ConsoleSettingsError(
                f"SLUICE_OIDC_ROLES: {entry.strip()!r} must be GROUP=ROLE with one of "
                f"{', '.join(LOGIN_ROLES)}"
            )
        roles[group] = Role(role)
    return roles
