"""What the engine of a foreground command has to say (the log of this program, from warnings on) goes
where a person sees it: above the live lines while there are any, else to stderr."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from winslow_nomad.cli import words

if TYPE_CHECKING:
    from winslow_nomad.cli.screen import Screen


AGAIN = 60.0  # seconds after which the same is said once more


class Notices(logging.Handler):
    """`screen` is set while there is one. What is tried again every second is not said every second."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.screen: Screen | None = None
        self._said: dict[str, float] = {}

    def __enter__(self) -> Notices:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
        self._said = {t: at for t, at in self._said.items() if 0 <= record.created - at < AGAIN}
        if text in self._said:
            return
        self._said[text] = record.created
        if self.screen is not None:
            self.screen.say(text, "yellow")
        else:
            sys.stderr.write(words.safe(text) + "\n")
