"""Chat services, by the library apprise, in a process of its own for each message: it can be ended when it takes too
long, knows none of our secrets but the one address, and may be watched (chat_process)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from winslow_nomad.notices.reach import Undelivered

LONGEST = 45.0  # seconds
PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


def checked(url: str) -> str:
    """The scheme of an address that a service is known for. Raises ValueError."""
    answer = _ask({"do": "check", "url": url, "anywhere": False})
    if not answer.get("scheme"):
        raise ValueError("no chat service is known for this address; see https://appriseit.com/services/ for all")
    return str(answer["scheme"])


def send(url: str, title: str, body: str, *, anywhere: bool) -> None:
    """Raises Undelivered."""
    answer = _ask({"do": "send", "url": url, "title": title, "body": body, "anywhere": anywhere})
    if not answer.get("sent"):
        text = str(answer.get("text") or "The chat service did not take it.")
        raise Undelivered(text, for_ever=bool(answer.get("for_ever")))


def _ask(question: dict[str, Any]) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "winslow_nomad.notices.chat_process"],
            input=json.dumps(question).encode(),
            capture_output=True,
            env=environment,
            cwd="/",
            timeout=LONGEST,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"text": "The chat service did not answer in time."}
    except (IndexError, ValueError):
        return {"text": "The message could not be sent: the library that knows the service failed."}
    return answer
