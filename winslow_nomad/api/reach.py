"""Under which names we are asked, and whether a browser asks for one of our own pages. Pure functions of headers.

A page of another site can make a browser send requests here, with our cookies (CSRF), and can even make its own name
point to our address (DNS rebinding). The first shows in `Sec-Fetch-Site` and `Origin`, the second in `Host`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OWN = frozenset({"same-origin", "none"})  # of Sec-Fetch-Site; none: typed or bookmarked


@dataclass(frozen=True)
class Reach:
    """`names`: host names besides localhost. An address needs no name: nobody can make a page of it but who has it."""

    names: frozenset[str] = frozenset()

    def knows(self, headers: Headers) -> bool:
        given = headers.getlist("host")
        return len(given) == 1 and self._known(given[0])

    def _known(self, authority: str) -> bool:
        host = host_of(authority)
        if host == "localhost" or host.endswith(".localhost") or host in self.names:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def of_names(names: Iterable[str]) -> Reach:
    return Reach(frozenset(n.strip().lower().rstrip(".") for n in names if n.strip()))


def host_of(authority: str) -> str:
    """`[::1]:80` is `::1`, `Example.org.:80` is `example.org`; what is no authority is empty."""
    try:
        parts = urlsplit(f"//{authority}")
        if parts.path or parts.query or parts.fragment or parts.username is not None:
            return ""
        return (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def from_own_page(headers: Headers) -> bool:
    """False where a browser says that another site's page asks. Programs that are no browsers say nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in OWN:
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    ports = {"http": ":80", "https": ":443"}
    if parts.scheme not in ports:
        return False
    default = ports[parts.scheme]
    return parts.netloc.lower().removesuffix(default) == headers.get("host", "").lower().removesuffix(default)
