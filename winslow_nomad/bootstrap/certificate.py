"""Whether the certificate that the API is given can be used, and for how long: it ends on a day on which nobody thinks
of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from winslow_nomad.config import Settings
from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import Refused

SOON = timedelta(days=14)


def check_certificate(settings: Settings) -> None:
    """Raises Refused."""
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise Refused(
            "TLS needs a certificate and its key; nothing was started.",
            hint="Set both tls_certificate and tls_key, or neither.",
            code="serve.tls",
        )
    if not settings.tls_certificate:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password=lambda: "")  # never asks
    except (OSError, ValueError) as error:
        raise Refused(
            f"{settings.tls_certificate} and {settings.tls_key} cannot be used for TLS: {error}. Nothing was started.",
            hint="Both must be PEM files that this user can read, belong together, and the key have no password.",
            code="serve.tls",
        ) from error


def examine_certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    """For `winslow doctor`. Raises Refused, OSError."""
    check_certificate(settings)
    if not settings.tls_certificate:
        return
    end = x509.load_pem_x509_certificate(Path(settings.tls_certificate).read_bytes()).not_valid_after_utc
    fix = "Renew it and restart `winslow serve`."
    if end <= now:
        yield Finding(severity="problem", subject="tls", text=f"the certificate ended on {end:%Y-%m-%d}", fix=fix)
    elif end - now < SOON:
        yield Finding(severity="warning", subject="tls", text=f"the certificate ends on {end:%Y-%m-%d}", fix=fix)
    else:
        yield Finding(severity="ok", subject="tls", text=f"the certificate is good until {end:%Y-%m-%d}")
    if Path(settings.tls_key).stat().st_mode & 0o077:
        text = f"{settings.tls_key} can be read by others than its owner"
        yield Finding(severity="warning", subject="tls", text=text, fix=f"chmod 600 {settings.tls_key}")
