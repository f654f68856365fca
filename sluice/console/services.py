"""Objects that the routes share, built once for each console."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from sluice.console.feeds.flag_board import FlagBoard
from sluice.console.feeds.rollout_feed import RolloutFeed, RolloutSnapshot
from sluice.console.feeds.rollout_list import RolloutList
from sluice.console.feeds.rollout_record import RolloutRecord
from sluice.console.feeds.rollout_source import RolloutSource
from sluice.console.formats import TEMPLATE_FILTERS
from sluice.console.login.oidc import LoginAttempts, OidcProvider
from sluice.console.login.passkeys import Passkeys
from sluice.console.settings import ConsoleSettings
from sluice.console.signing import DecisionSigner
from sluice.console.web.login_links import LoginLinks
from sluice.console.web.rate_limits import RateLimiter, SeenOnce
from sluice.console.web.sessions import Session, SessionStore
from sluice.rollout.printable import escape_shown

TEMPLATES = Path(__file__).with_name("templates")
LOGIN_BURST, LOGIN_PER_SECOND = 10, 0.2
DECISION_BURST, DECISION_PER_SECOND = 20, 1.0


class LoginRequiredError(Exception):
    """A page that needs a session was asked for without one."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ConsoleServices:
    """Everything a route needs. ``now`` is UTC, ``monotonic`` is in seconds.

    ``streams`` counts the open event streams of each session.
    """

    settings: ConsoleSettings
    source: RolloutSource
    feed: RolloutFeed
    rollouts: RolloutList
    flags: FlagBoard
    record: RolloutRecord
    login_links: LoginLinks
    passkeys: Passkeys
    signer: DecisionSigner
    oidc: OidcProvider | None = None
    attempts: LoginAttempts = field(default_factory=LoginAttempts)
    sessions: SessionStore = field(default_factory=SessionStore)
    logins: RateLimiter = field(default_factory=lambda: RateLimiter(LOGIN_BURST, LOGIN_PER_SECOND))
    decisions: RateLimiter = field(
        default_factory=lambda: RateLimiter(DECISION_BURST, DECISION_PER_SECOND)
    )
    slack_clicks: SeenOnce = field(default_factory=SeenOnce)
    streams: Counter[str] = field(default_factory=Counter)
    fragments: dict[str, tuple[RolloutSnapshot, dict[str, str]]] = field(default_factory=dict)
    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic

    async def close(self) -> None:
        """Close connections; the process ends, or a test does."""
        await self.record.ledger.close()

    def find_session(self, request: Request) -> Session | None:
        session_id = request.cookies.get(self.settings.cookie_name, "")
        return self.sessions.find(session_id, self.now())


def services_of(request: Request) -> ConsoleServices:
    services: ConsoleServices = request.app.state.services
    return services


def require_session(request: Request) -> Session:
    """Return the session of a request.

    Raises:
        LoginRequiredError: without one; the application answers with the login page.
    """
    session = services_of(request).find_session(request)
    if session is None:
        raise LoginRequiredError
    return session


def make_templates() -> Jinja2Templates:
    """Load the templates: everything is escaped, and an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_escape_shown,
    )
    environment.filters.update(TEMPLATE_FILTERS)
    return Jinja2Templates(env=environment)


def _escape_shown(value: object) -> object:
    """Show what could reorder a page's text, such as a flag's name in the store, in escaped form."""
    return type(value)(escape_shown(value)) if isinstance(value, str) else value
