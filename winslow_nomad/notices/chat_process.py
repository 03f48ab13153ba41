"""Sends one message by the library apprise, as the process that chat.py starts for it.

The library speaks with hundreds of services, each in its own way, and reads files where an address says so. So Python's
own audit events are watched: unless who gave the address may reach everything, no connection to a machine of our own
network is made, whatever name or redirection led there, no other program is started, and no file is read that is no
part of Python or of the system's settings of names and certificates."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

from winslow_nomad.notices.reach import FORBIDDEN, is_public

# Services of the machine itself, which people elsewhere never see.
OF_THIS_MACHINE = {"blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"}
CONNECTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"}
READABLE = (
    sys.prefix,
    sys.base_prefix,
    str(Path(__file__).resolve().parents[1]),
    "/usr/lib", "/usr/local/lib", "/usr/share", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/mime.types",
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/localtime", "/etc/apache2",
    "/etc/httpd", "/dev/null", "/dev/urandom",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CODE = re.compile(r"error[ =:]+([1-5][0-9]{2})\b")


class Refused(PermissionError):
    """What the address leads to is not allowed."""


class Watch:
    """`met`: something that is not allowed was tried, even if the library swallowed the error."""

    def __init__(self) -> None:
        self.met = ""

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event in CONNECTS:
            self._connect(args[1] if len(args) > 1 else None)
        elif event in PROGRAMS:
            self._refuse("It would start a program of this machine.")
        elif event == "open":
            self._open(*args[:3])

    def _connect(self, address: object) -> None:
        if address is not None and not (isinstance(address, tuple) and is_public(str(address[0]))):
            self._refuse(FORBIDDEN)

    def _open(self, path: object, mode: object, flags: object) -> None:
        if isinstance(path, int) or path is None:
            return
        real = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        writes = (isinstance(flags, int) and flags & WRITING) or (isinstance(mode, str) and set(mode) & set("wax+"))
        if (writes and real != "/dev/null") or not any(real == r or real.startswith(f"{r}/") for r in READABLE):
            self._refuse("It would use a file of this machine.")

    def _refuse(self, text: str) -> None:
        self.met = text
        raise Refused(text)


def main() -> None:
    question = json.load(sys.stdin)
    answer = sys.stdout
    sys.stdout = sys.stderr  # whatever the library prints
    import apprise  # noqa: PLC0415 - before the watch, and only in this process

    apprise.Apprise.instantiate("json://localhost")  # reads what it always reads
    watch = Watch()
    if not question["anywhere"]:
        sys.dont_write_bytecode = True
        sys.addaudithook(watch)
    answer.write(json.dumps(answered(apprise, watch, question)) + "\n")
    answer.flush()
    os._exit(0)  # threads that a service left behind are not waited for


def answered(apprise: Any, watch: Watch, question: dict[str, Any]) -> dict[str, Any]:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    apprise.logger.addHandler(handler)
    asset = apprise.AppriseAsset(app_id="Winslow", app_desc="Winslow", plugin_paths=[], async_mode=False)
    url = str(question["url"])
    scheme = url.partition("://")[0].lower()
    try:
        service = None if scheme in OF_THIS_MACHINE else apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            return {"text": watch.met or "No chat service is known for the address.", "for_ever": True}
        if question["do"] == "check":
            return {"scheme": scheme}
        sent = bool(service.notify(body=question["body"], title=question["title"], body_format="text"))
    except Refused as error:
        return {"text": str(error), "for_ever": True}
    except Exception as error:  # noqa: BLE001 - whatever a service does wrong is its own
        return {"text": f"The message could not be sent: {type(error).__name__}."}
    if watch.met:
        return {"text": watch.met, "for_ever": True}
    codes = [found for line in heard for found in CODE.findall(line)]
    text = f"The chat service answered {codes[-1]}." if codes else "The chat service did not take it."
    return {"sent": sent, "text": "" if sent else text}


if __name__ == "__main__":
    main()
