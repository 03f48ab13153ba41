"""How Nomad is reached: address, token, certificates; and the sessions made from that.

The token is never shown: not by repr, not in an error, not in a log."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from winslow_nomad.core.errors import DriverUnavailable

CONNECT = 2.0  # seconds until a connection is given up
ANSWER = 10.0  # seconds between two bytes of an answer; a cluster without a leader answers after 5
RETRIED = frozenset({429, 502, 503, 504})
CONNECTIONS = 16  # kept by a process; more are made where they are needed, and closed after use
TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Access:
    """As the variables NOMAD_* say it. `token_file`: read anew for every request, so that a token that is put into it
    is used at once. `ca`, `certificate`, `key`: files in PEM format; `server_name`: the name that the server's
    certificate must carry, where that is not the address's. `connect`, `answer`: seconds."""

    address: str = "http://127.0.0.1:4646"
    token: str = field(default="", repr=False)
    token_file: str = ""
    namespace: str = "winslow"
    region: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""
    verify: bool = True
    connect: float = CONNECT
    answer: float = ANSWER

    @property
    def secure(self) -> bool:
        return self.address.startswith("https://")

    @property
    def parameters(self) -> dict[str, str]:
        """Of every request."""
        return {"namespace": self.namespace} | ({"region": self.region} if self.region else {})

    def secret(self) -> str:
        """The token as it is now, or "" where there is none. Raises DriverUnavailable where its file cannot be used."""
        if not self.token_file:
            return self.token
        try:
            token = Path(self.token_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror or "" if isinstance(error, OSError) else "it is no text"
            raise self._no_token(why) from None  # the error of decoding holds what it read
        if not TOKEN.fullmatch(token):
            raise self._no_token("it is empty" if not token else "what it holds is no token")
        return token

    def _authorised(self, request: httpx.Request) -> httpx.Request:
        """Of a client that lives long, too, each request shows the token of now."""
        if token := self.secret():
            request.headers["X-Nomad-Token"] = token
        return request

    def _no_token(self, why: str) -> DriverUnavailable:
        return DriverUnavailable(
            f"The file with Nomad's token cannot be used: {self.token_file}: {why}. Nomad was not asked.",
            hint="Put a token into it, readable for Winslow; it is used at once, and what waits goes on by itself.",
            code="nomad.token_file",
        )

    def adapters(self) -> dict[str, HTTPAdapter]:
        """The connections, for the sessions of all threads: there are no more of them than are used at the same time,
        since Nomad lets a machine have a hundred. Only GET is repeated by itself, and what was never sent."""
        retry = Retry(
            total=2,
            connect=1,
            backoff_factor=0.1,
            allowed_methods={"GET"},
            status_forcelist=RETRIED,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        return {
            "http://": HTTPAdapter(max_retries=retry, pool_maxsize=CONNECTIONS),
            "https://": _Named(self.server_name, max_retries=retry, pool_maxsize=CONNECTIONS),
        }

    def session(self, adapters: Mapping[str, HTTPAdapter]) -> requests.Session:
        """For one thread."""
        if not self.verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was chosen, and doctor says so
        session = _Unled()
        for scheme, adapter in adapters.items():
            session.mount(scheme, adapter)
        return session

    @property
    def verified_by(self) -> bool | str:
        """What `requests` calls verify."""
        return (self.ca or True) if self.verify else False

    @property
    def client_certificate(self) -> tuple[str, str] | tuple[()]:
        return (self.certificate, self.key) if self.certificate and self.key else ()

    def stream_client(self, silence: float) -> httpx.Client:
        """For event streams and files. `silence`: seconds without a byte, until a connection counts as dead."""
        timeout = httpx.Timeout(connect=self.connect, read=silence, write=self.answer, pool=self.answer)
        return httpx.Client(
            base_url=self.address,
            headers={"Accept-Encoding": "identity"},
            auth=self._authorised,
            params=self.parameters,
            timeout=timeout,
            verify=self._context() if self.secure else True,
        )

    @property
    def extensions(self) -> dict[str, Any]:
        """Of every request by httpx."""
        return {"sni_hostname": self.server_name} if self.server_name and self.secure else {}

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.client_certificate:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise unreadable_certificate(error) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def unreadable_certificate(error: Exception | str) -> DriverUnavailable:
    return DriverUnavailable(
        f"The certificates for Nomad cannot be read: {error}. Nomad was not asked.",
        hint="Look at NOMAD_CACERT, NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY.",
        code="nomad.certificates",
    )


class _Unled(requests.Session):
    """Goes nowhere else than it was told to: it would take the token along, and make a GET of a PUT."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        if resp.is_redirect:
            raise requests.TooManyRedirects("it sends elsewhere", response=resp)


class _Named(HTTPAdapter):
    """Asks for, and insists on, a name that is not the address's."""

    def __init__(self, name: str, **more: Any) -> None:
        self._name = name
        super().__init__(**more)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:
        if self._name:
            kwargs |= {"server_hostname": self._name, "assert_hostname": self._name}
        return super().init_poolmanager(*args, **kwargs)
