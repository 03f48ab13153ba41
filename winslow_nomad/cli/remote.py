"""Servers as the command line knows them: coming in, going out, and which one is meant."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from contextlib import closing
from getpass import getpass

from winslow_nomad.cli import as_json as stable
from winslow_nomad.cli import tables, terminal, words
from winslow_nomad.cli.given import path_of
from winslow_nomad.client import accounts
from winslow_nomad.client import contexts as stored
from winslow_nomad.client.contexts import Book, Context
from winslow_nomad.client.wire import Wire, checked_url
from winslow_nomad.core.errors import Invalid, NotFound, Refused, Unavailable, Unidentified
from winslow_nomad.core.suggest import suggestion

LINK = "/login#"


def log_in(url: str, *, user: str, by_token: bool, context: str, authority: str) -> None:
    address, _, link = url.partition(LINK)
    address = checked_url(address)
    name = context or address.partition("//")[2]
    if name == stored.LOCAL or any(c.isspace() or not c.isprintable() for c in name):
        raise Invalid(f"{name[:100]!r} cannot be the name of a context.", hint="Name another.", code="context.name")
    authority = authority or os.environ.get("WINSLOW_CA", "")
    authority = str(path_of(authority)) if authority else ""
    book = stored.read()
    if address.startswith("http:") and not _is_this_machine(address):
        say(f"{address} is not encrypted: whoever listens on the way can read the password and the token.")
    with closing(Wire(address, authority=authority)) as wire:
        wire.get("/healthz")  # nobody shall type a password for a server that is not there
    if by_token:
        token = _token()
        wire = Wire(address, token, authority=authority)
        whose = accounts.who_am_i(wire)
    else:
        wire = Wire(address, authority=authority)
        if not link:
            user = user or _asked("User")
        password = "" if link else _secret(f"Password of {user} at {address}")
        whose, token = accounts.log_in(wire, user=user, password=password, link=link, machine=socket.gethostname())
    wire.close()
    made = Context(url=address, token=token, authority=authority, user=whose)
    before = book.contexts.get(name)
    stored.write(book.but(current=name, contexts={**book.contexts, name: made}))
    if before is not None and before.token != token:
        _withdraw(before)
    say(f"Logged in to {address} as {whose}. All commands go there now; winslow contexts local goes back.")
    overruled = [n for n in ("WINSLOW_URL", "WINSLOW_CONTEXT", "WINSLOW_HOME") if os.environ.get(n)]
    if overruled:
        say(f"But {overruled[0]} is set here, and says something else: unset it, or write --context {name}.")


def _is_this_machine(address: str) -> bool:
    host = address.partition("//")[2].rpartition(":")[0] or address.partition("//")[2]
    return host in ("localhost", "[::1]") or host.startswith("127.")


def _token() -> str:
    """From the environment or the terminal; an argument could be read by everybody on this machine."""
    return os.environ.get("WINSLOW_TOKEN", "") or _secret("Token (not shown)")


def _asked(what: str) -> str:
    if not terminal.present(sys.stderr):
        raise Invalid(f"{what} is not given.", hint="Write --user NAME.", code="cli.not_given")
    sys.stderr.write(f"{what}: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _secret(what: str) -> str:
    """From a terminal, without showing it; else the first line of standard input."""
    if terminal.present(sys.stderr):
        return getpass(f"{what}: ", stream=sys.stderr)
    found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise Unidentified(
            f"{what}: nothing was given.", hint="Give it on standard input, as one line.", code="cli.not_given"
        )
    return found


def log_out(name: str) -> None:
    book = stored.read()
    name = name or book.current
    if not name:
        raise NotFound("You are not logged in anywhere.", hint="See winslow contexts.", code="context.not_found")
    found = stored.named(book, name)
    left = {n: c for n, c in book.contexts.items() if n != name}
    withdrawn = _withdraw(found)
    stored.write(book.but(current="" if book.current == name else book.current, contexts=left))
    if withdrawn:
        say(f"Logged out of {found.url}; its token is withdrawn.")
    else:
        say(f"{found.url} is forgotten here, but could not be reached: withdraw its token on the page Account.")


def _withdraw(context: Context) -> bool:
    """Whether it is of no use any more."""
    try:
        wire = Wire(context.url, context.token, authority=context.authority, patience=2.0)
        accounts.log_out(wire)
    except Unidentified:
        return True
    except (Unavailable, Invalid, Refused):
        return False
    return True


def contexts(name: str, *, as_json: bool) -> None:
    book = stored.read()
    if name:
        book = chosen(book, name)
        stored.write(book)
    if as_json:
        rows = [{"name": n, "url": c.url, "user": c.user} for n, c in sorted(book.contexts.items())]
        stable.put({"current": book.current or stored.LOCAL, "contexts": rows})
        return
    table = tables.grid("", "context", "server", "user")
    table.add_row("" if book.current else "*", stored.LOCAL, "the data directory of this machine", "")
    for known, context in sorted(book.contexts.items()):
        mark = "*" if known == book.current else ""
        table.add_row(mark, words.safe(known), words.safe(context.url), words.safe(context.user))
    tables.show(table)


def chosen(book: Book, name: str) -> Book:
    if name == stored.LOCAL:
        return book.but(current="")
    if name not in book.contexts:
        hint = suggestion(name, [*book.contexts, stored.LOCAL], "See winslow contexts.")
        raise NotFound(f"There is no context {name[:100]!r}.", hint=hint, code="context.not_found")
    return book.but(current=name)


def shown_in_browser(address: str) -> str:
    """What to print. Where there is no screen, a browser in the terminal would help nobody."""
    if not address:
        raise Refused(
            "The data directory of this machine has no pages.",
            hint="winslow up serves them; it says where.",
            code="cli.no_pages",
        )
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin"
    if screen and _opened(address):
        return f"Opened {address}\n"
    return f"{address}\n"


def _opened(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False


def say(text: str) -> None:
    sys.stderr.write(words.safe(text) + "\n")
