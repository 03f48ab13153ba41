"""What processes write about themselves: one line for each event, as `key=value`, which people can read and programs
can take apart, with the request, project, attempt or operation that it is about. Whatever came from outside is
escaped: nobody writes a line of their own into it."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from winslow_nomad.core.about import now

PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+")
QUIET = ("uvicorn.access", "httpx", "httpcore")  # the first repeats what the line of each request says


class Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields: dict[str, object] = {"time": at, "level": record.levelname.lower(), "logger": record.name}
        more = getattr(record, "fields", None)
        if isinstance(more, dict):
            fields.update(more)
        else:
            fields["msg"] = record.getMessage()
            fields.update({**now(), **getattr(record, "about", {})})
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={written(value)}" for key, value in fields.items())


def written(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)


def write_logs(level: int) -> None:
    """To stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
