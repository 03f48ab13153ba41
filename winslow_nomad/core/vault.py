"""Where secrets are kept: texts go in, references come out, and nothing that asks over the network reads them back."""

from __future__ import annotations

from typing import Protocol


class Vault(Protocol):
    def delete(self, reference: str) -> None:
        """Raises NotFound, StoreUnavailable."""
        ...
