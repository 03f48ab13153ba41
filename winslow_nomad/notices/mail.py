"""Mail by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from winslow_nomad.notices.reach import Undelivered

TIMEOUT = 20.0  # seconds that the server may take for each answer
REFUSED_FOR_EVER = range(550, 560)  # of a recipient: there is no such mailbox, and there will be none tomorrow


@dataclass(frozen=True)
class Letter:
    """`id` stays the same at every try, so that a mailbox can tell the second copy from another letter."""

    id: str
    to: str
    subject: str
    body: str
    at: datetime


def parts(url: str) -> tuple[str, str, int, str, str]:
    """Scheme (smtp: encrypted if the server can; smtps), host, port, user, password. Raises ValueError."""
    found = urlsplit(url)
    if found.scheme not in ("smtp", "smtps") or not found.hostname or found.path not in ("", "/"):
        raise ValueError(f"{found.scheme or 'no scheme'}: smtp://user:password@host:port or smtps://... is wanted")
    port = found.port or (465 if found.scheme == "smtps" else 587 if found.username else 25)
    return found.scheme, found.hostname, port, unquote(found.username or ""), unquote(found.password or "")


def sender_of(url: str, sender: str) -> str:
    """Whom mail comes from: `sender`, else a guess."""
    _, host, _, user, _ = parts(url)
    return sender or (user if "@" in user else f"winslow@{host}")


def send(url: str, sender: str, letter: Letter) -> None:
    """Raises Undelivered."""
    scheme, host, port, user, password = parts(url)
    context = ssl.create_default_context()
    try:
        with (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
            if scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=TIMEOUT)
        ) as server:
            server.ehlo()
            if scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif scheme == "smtp" and user and not _is_loopback(host):
                raise Undelivered("The mail server offers no encryption, and the password is not sent without.")
            if user:
                server.login(user, password)
            server.send_message(written(sender_of(url, sender), letter))
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        said = f"The mail server refuses the recipient: {code} {_said(text)}"
        raise Undelivered(said, for_ever=code in REFUSED_FOR_EVER) from error
    except smtplib.SMTPResponseException as error:
        raise Undelivered(f"The mail server refuses it: {error.smtp_code} {_said(error.smtp_error)}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise Undelivered(f"The mail server cannot be used: {_said(str(error)) or type(error).__name__}") from error
    except ValueError as error:  # an address or a header that cannot be written
        raise Undelivered("The mail cannot be written: an address is not as it should be.", for_ever=True) from error


def written(sender: str, letter: Letter) -> EmailMessage:
    made = EmailMessage()
    made["From"] = sender
    made["To"] = letter.to
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(letter.at)
    made["Message-ID"] = f"<{letter.id}@winslow.invalid>"
    made["X-Winslow-Notification"] = letter.id
    made["Auto-Submitted"] = "auto-generated"  # nobody's absence note answers to it
    made.set_content(letter.body)
    return made


def _said(text: bytes | str) -> str:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(plain.split())[:200]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
