"""Login by OpenID Connect: the authorization code flow with PKCE, state and nonce, by Authlib."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]  # no stubs
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]  # no stubs
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from sluice.console.settings import OidcSettings

CALLBACK = "/login/oidc/callback"
ATTEMPT_LIFETIME = timedelta(minutes=10)
ATTEMPTS_MAX = 1_000
HTTP_SECONDS_MAX = 10
_logger = structlog.get_logger(__name__)


class LoginRejectedError(Exception):
    """A login that is refused; the message is shown to the person."""


@dataclass(frozen=True, slots=True)
class OidcPerson:
    """The name and roles that a provider's claims give."""

    name: str
    roles: frozenset[str]


@dataclass(slots=True)
class LoginAttempt:
    """One browser's way to the provider and back. ``values`` is Authlib's state for it."""

    target: str
    expires_at: datetime
    values: dict[str, Any] = field(default_factory=dict)


class LoginAttempts:
    """Attempts by their random id, which only the browser that began one holds as a cookie."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, LoginAttempt] = OrderedDict()

    def begin(self, target: str, now: datetime) -> tuple[str, LoginAttempt]:
        attempt_id = secrets.token_urlsafe(32)
        attempt = LoginAttempt(target, now + ATTEMPT_LIFETIME)
        self._attempts[attempt_id] = attempt
        while len(self._attempts) > ATTEMPTS_MAX:
            self._attempts.popitem(last=False)
        return attempt_id, attempt

    def take(self, attempt_id: str, now: datetime) -> LoginAttempt | None:
        """Return the attempt once; None when it is unknown, used or too old."""
        attempt = self._attempts.pop(attempt_id, None)
        return attempt if attempt is not None and now <= attempt.expires_at else None


class OidcProvider:
    """The provider of one console; its metadata is read at the first login."""

    def __init__(self, settings: OidcSettings, redirect_uri: str) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        oauth = OAuth()
        self._client: Any = oauth.register(
            "provider",
            client_id=settings.client_id,
            client_secret=settings.client_secret or None,
            server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.scope,
                "code_challenge_method": "S256",
                "timeout": HTTP_SECONDS_MAX,
                **({} if settings.client_secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def redirect(self, request: Request, attempt: LoginAttempt) -> Response:
        """Send the browser to the provider.

        Raises:
            LoginRejectedError: the provider does not answer, or is not the configured issuer.
        """
        request.scope["session"] = attempt.values
        with _provider_errors():
            await self._require_issuer()
            response: Response = await self._client.authorize_redirect(request, self._redirect_uri)
        return response

    async def identify(self, request: Request, attempt: LoginAttempt) -> OidcPerson:
        """Redeem the code of the callback and read the verified claims.

        Raises:
            LoginRejectedError: a wrong state, nonce, signature, audience or expiry, or no name.
        """
        request.scope["session"] = attempt.values
        with _provider_errors():
            token = await self._client.authorize_access_token(request)
        claims: Mapping[str, Any] | None = token.get("userinfo")
        if claims is None:
            raise LoginRejectedError("The provider sent no ID token.")
        return person_of(claims, self._settings)

    async def _require_issuer(self) -> None:
        metadata = await self._client.load_server_metadata()
        if str(metadata.get("issuer", "")).rstrip("/") != self._settings.issuer:
            raise LoginRejectedError("The provider names another issuer than SLUICE_OIDC_ISSUER.")


def person_of(claims: Mapping[str, Any], settings: OidcSettings) -> OidcPerson:
    """Read name and roles from verified claims.

    Raises:
        LoginRejectedError: the name's claim is missing, or its e-mail address is not verified.
    """
    name = claims.get(settings.name_claim)
    if not isinstance(name, str) or not name or name != name.strip():
        raise LoginRejectedError(f"The login has no claim {settings.name_claim!r}.")
    if settings.name_claim == "email" and claims.get("email_verified") is not True:
        raise LoginRejectedError(
            f"The provider does not confirm that {name} is verified (email_verified). "
            "SLUICE_OIDC_NAME_CLAIM can name another claim."
        )
    values = claims.get(settings.roles_claim)
    claim_values = (
        [values] if isinstance(values, str) else values if isinstance(values, list) else []
    )
    names = {value for value in claim_values if isinstance(value, str)}
    return OidcPerson(name, frozenset(settings.roles[n] for n in names if n in settings.roles))


@contextmanager
def _provider_errors() -> Iterator[None]:
    """Turn every failure between us and the provider into LoginRejectedError; the log has it."""
    try:
        yield
    except (AuthlibBaseError, JoseError) as error:
        _logger.warning("login refused", error=str(error))
        raise LoginRejectedError("The provider's answer is not valid. Log in again.") from error
    except (httpx2.HTTPError, ValueError, RuntimeError, KeyError) as error:
        _logger.warning("provider away", error=repr(error))
        raise LoginRejectedError("The login provider does not answer as expected.") from error
