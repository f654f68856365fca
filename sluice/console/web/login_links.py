"""One-time login links for one machine, as Jupyter prints them.

The link lies in a file that only the user may read. Using it writes the next one, so
``sluice console --link`` can always print a fresh link.
"""

import hmac
import os
import secrets
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN_BYTES = 32


class LoginLinks:
    """The one link that is valid now. ``origin`` is the address that browsers use."""

    def __init__(self, path: Path, origin: str) -> None:
        self._path = path
        self._origin = origin

    def url(self, target: str = "/") -> str:
        """Return the link to ``target``; create it when missing."""
        query = urlencode({"token": self._token(), "next": target})
        return f"{self._origin}/login/link?{query}"

    def redeem(self, token: str) -> bool:
        """Return True for the current token, which is then replaced: each works once."""
        matches = hmac.compare_digest(token.encode(), self._token().encode())
        if matches:
            self._rotate()
        return matches

    def _token(self) -> str:
        try:
            url = self._path.read_text(encoding="ascii")
        except FileNotFoundError:
            return self._rotate()
        if not url.startswith(f"{self._origin}/login/link?"):
            return self._rotate()
        return parse_qs(urlsplit(url).query)["token"][0]

    def _rotate(self) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{self._origin}/login/link?{urlencode({'token': token})}")
        temporary.replace(self._path)
        return token
