"""Login sessions, held in memory: a restart of the console logs everybody out."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

LIFETIME = timedelta(hours=12)
IDLE_MAX = timedelta(hours=2)
SESSIONS_MAX = 2_000
LoginKind = Literal["link", "oidc", "passkey"]


@dataclass(frozen=True, slots=True)
class Session:
    """One login. ``roles`` are what the login grants; the worker's keyring has the last word."""

    id: str
    actor: str
    login: LoginKind
    roles: frozenset[str]
    created_at: datetime
    seen_at: datetime
    csrf_key: bytes

    @property
    def csrf_token(self) -> str:
        """Token that each form of this session carries."""
        return hmac.new(self.csrf_key, self.id.encode(), hashlib.sha256).hexdigest()


class SessionStore:
    """Sessions by their random id; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._notes: dict[str, str] = {}

    def create(self, actor: str, login: LoginKind, roles: frozenset[str], now: datetime) -> Session:
        """Create a session with a new id: an id from before the login is never reused."""
        session = Session(
            id=secrets.token_urlsafe(32),
            actor=actor,
            login=login,
            roles=roles,
            created_at=now,
            seen_at=now,
            csrf_key=secrets.token_bytes(32),
        )
        self._sessions[session.id] = session
        while len(self._sessions) > SESSIONS_MAX:
            self.end(next(iter(self._sessions)))
        return session

    def find(self, session_id: str, now: datetime) -> Session | None:
        """Return a live session and note its use; an expired one is removed."""
        if not self.is_live(session_id, now):
            self.end(session_id)
            return None
        session = replace(self._sessions[session_id], seen_at=now)
        self._sessions[session_id] = session
        return session

    def is_live(self, session_id: str, now: datetime) -> bool:
        """Return True while the session may read; an open page alone is not a use of it."""
        session = self._sessions.get(session_id)
        return (
            session is not None
            and now - session.created_at <= LIFETIME
            and now - session.seen_at <= IDLE_MAX
        )

    def end(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._notes.pop(session_id, None)

    def put_note(self, session_id: str, text: str) -> None:
        """Keep one line for the session's next page: the result of what was just posted."""
        if session_id in self._sessions:
            self._notes[session_id] = text

    def take_note(self, session_id: str) -> str:
        """Return the line once, or an empty string."""
        return self._notes.pop(session_id, "")
