"""The GPUs of this machine as NVML shows them. A machine without NVIDIA's driver has none; a GPU that
is lost (fell off the bus, needs a reset) is left out and counted, since it may come back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Card:
    uuid: str
    model: str
    memory: int  # bytes


@dataclass(frozen=True, slots=True)
class Cards:
    found: Sequence[Card] = ()
    lost: int = 0


class Nvml:
    """Asks NVML anew at every call. Loaded at the first one only: stages without a GPU never pay for it."""

    def __init__(self) -> None:
        self._library: Any = None
        self._owner = 0

    def __call__(self) -> Cards:
        try:
            nvml = self.ready()
            count = nvml.nvmlDeviceGetCount()
        except Exception as error:
            if not _of_nvml(error):
                raise
            return Cards()  # no driver, or it was upgraded under our feet: nothing can be given
        cards = [self._card(nvml, index) for index in range(count)]
        found = tuple(card for card in cards if card is not None)
        return Cards(found, lost=count - len(found))

    def ready(self) -> Any:
        """The library, initialised in this process: a forked one must do it again."""
        if self._library is None or self._owner != os.getpid():
            import pynvml  # noqa: PLC0415 - 15 ms that machines without a GPU stage need not spend

            library: Any = pynvml
            library.nvmlInit()
            self._library, self._owner = library, os.getpid()
        return self._library

    @staticmethod
    def _card(nvml: Any, index: int) -> Card | None:
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            return Card(
                uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
                model=_text(nvml.nvmlDeviceGetName(handle)),
                memory=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            )
        except nvml.NVMLError:
            return None


def _text(value: str | bytes) -> str:
    """Older NVML bindings answer bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _of_nvml(error: Exception) -> bool:
    return type(error).__module__ == "pynvml" or type(error).__name__.startswith("NVMLError")
