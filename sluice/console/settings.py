"""Settings of the console, read once from the environment."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

DEFAULT_PORT = 8300


class ConsoleSettingsError(Exception):
    """A variable of the console's settings that cannot be used; the message names it."""


class ConsoleSettings(BaseModel):
    """``origin`` is the address that browsers use, without a path: ``https://sluice.example.org``.

    ``local_actor`` is the person whom the one-time login link logs in; empty switches it off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str
    environment: str = "default"
    local_actor: str = ""
    names_are_claims: bool = True

    @property
    def is_https(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """Name of the session cookie; ``__Host-`` binds it to this host where HTTPS allows it."""
        return "__Host-sluice" if self.is_https else "sluice"


def read_settings(
    environment: Mapping[str, str], address: tuple[str, int], local_actor: str
) -> ConsoleSettings:
    """Read the settings.

    Raises:
        ConsoleSettingsError: SLUICE_CONSOLE_URL is not an http(s) origin.
    """
    host, port = address
    origin = environment.get("SLUICE_CONSOLE_URL", f"http://{host}:{port}").rstrip("/")
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
        raise ConsoleSettingsError(
            f"SLUICE_CONSOLE_URL={origin!r} must be an origin such as https://sluice.example.org"
        )
    return ConsoleSettings(
        origin=origin,
        environment=environment.get("SLUICE_ENVIRONMENT", "default"),
        local_actor=local_actor,
        names_are_claims=not environment.get("SLUICE_KEYRING"),
    )
