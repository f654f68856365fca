"""Reading a posted form, and refusing one that does not come from our own page."""

import asyncio
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from sluice.console.web.sessions import Session

FORM_BYTES_MAX = 32_768
BODY_SECONDS_MAX = 10.0
FIELDS_MAX = 30


class FormRejectedError(Exception):
    """A posted form that is refused; the message is shown to the person."""


async def read_form(request: Request) -> dict[str, str]:
    """Read an urlencoded form.

    Raises:
        FormRejectedError: too large, of another type, or not UTF-8.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if content_type != "application/x-www-form-urlencoded":
        raise FormRejectedError(f"expected an urlencoded form, not {content_type or 'nothing'}")
    body = await read_body(request, FORM_BYTES_MAX)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, strict_parsing=True
        )
    except ValueError as error:
        raise FormRejectedError(f"the form cannot be read: {error}") from error
    return dict(pairs)


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Read a body of limited size.

    Raises:
        FormRejectedError: too large, or not complete after ``BODY_SECONDS_MAX``.
    """
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise FormRejectedError(f"the form is larger than {bytes_max} bytes")
    except TimeoutError:
        raise FormRejectedError(f"the form took longer than {BODY_SECONDS_MAX:g} s") from None
    return body


def require_own_page(request: Request, origin: str) -> None:
    """Refuse a request that another site's page has sent.

    Raises:
        FormRejectedError: ``Sec-Fetch-Site`` or ``Origin`` names another site.
    """
    site = request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise FormRejectedError("the form was sent by another site's page")
    sent_origin = request.headers.get("origin")
    if sent_origin not in (None, origin):
        raise FormRejectedError(f"the form was sent from {sent_origin}, expected {origin}")


def require_csrf_token(form: Mapping[str, str], session: Session) -> None:
    """Refuse a form without its session's token.

    Raises:
        FormRejectedError: open the page again and send it from there.
    """
    if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf_token.encode()):
        raise FormRejectedError("the page is from an earlier login; open it again")


def local_path(target: str) -> str:
    """Return ``target`` if it is a path of this console, else the start page."""
    try:
        parts = urlsplit(target)
    except ValueError:  # such as "//[": an address that is not one
        return "/"
    is_local = target.startswith("/") and not target.startswith(("//", "/\\"))
    if parts.scheme or parts.netloc or not is_local or any(c in target for c in "\r\n\t\\"):
        return "/"
    return target
