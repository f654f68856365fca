"""Notices by e-mail, over SMTP with TLS where the address asks for it."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from activities.adapters.channels import headline
from activities.contract.errors import NoticeRefusedError, NoticeUndeliveredError
from sluice.rollout.plan.notification import Notice

SMTP_SECONDS_MAX = 20.0
SUBMISSION_PORT, TLS_PORT = 587, 465
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class EmailChannel:
    """A mail server: ``smtps://`` speaks TLS at once, ``smtp://`` by STARTTLS.

    Only a server on this machine may go without TLS.
    """

    url: str
    sender: str
    recipients: tuple[str, ...]

    async def send(self, notice: Notice) -> str:
        """See ``activities.contract.ports.NoticeChannel``."""
        return await asyncio.to_thread(self._send, email_message(notice, self))

    def _send(self, message: EmailMessage) -> str:
        try:
            with self._connect() as server:
                refused = server.send_message(message)
        except smtplib.SMTPResponseException as error:
            text = f"SMTP {error.smtp_code}: {error.smtp_error!r}"
            is_permanent = error.smtp_code >= 500  # noqa: PLR2004  SMTP's permanent answers
            raise (NoticeRefusedError if is_permanent else NoticeUndeliveredError)(text) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise NoticeRefusedError(f"every recipient is refused: {error.recipients}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise NoticeUndeliveredError(f"{type(error).__name__}: {error}") from error
        return f"sent, refused for {sorted(refused)}" if refused else "sent"

    def _connect(self) -> smtplib.SMTP:
        parts = urlsplit(self.url)
        host, context = parts.hostname or "", ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, parts.port or TLS_PORT, timeout=SMTP_SECONDS_MAX, context=context
            )
        else:
            server = smtplib.SMTP(host, parts.port or SUBMISSION_PORT, timeout=SMTP_SECONDS_MAX)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
            elif host not in LOCAL_HOSTS:
                raise NoticeRefusedError(
                    f"{host} offers no STARTTLS; use smtps:// or a server with it"
                )
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        return server


def email_message(notice: Notice, channel: EmailChannel) -> EmailMessage:
    """Write a notice as plain text; ``Message-ID`` is the key to drop repetitions by."""
    message = EmailMessage()
    message["From"], message["To"] = channel.sender, ", ".join(channel.recipients)
    message["Subject"] = " ".join(headline(notice).split())
    message["Message-ID"] = f"<{notice.key}@sluice>"
    message["Date"] = notice.at
    lines = [
        notice.text,
        "",
        f"{notice.flag} at {notice.percentage:g} %, step {notice.step or 'none'}",
        *([f"{_link_label(notice)}: {notice.link}"] if notice.link else []),
        *([f"What to do: {notice.runbook}"] if notice.runbook else []),
    ]
    message.set_content("\n".join(lines))
    return message


def _link_label(notice: Notice) -> str:
    """Promise a decision only where the link leads to one."""
    return "Decide" if "/decide/" in notice.link else "Open"
