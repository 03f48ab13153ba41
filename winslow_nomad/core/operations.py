"""Long pieces of work on files, with an owner, a lease, progress and cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from winslow_nomad.core.model import Record

OperationKind = Literal["workspace", "import", "checksum", "delete", "unpack", "probe", "clean", "take_back", "upload"]
OperationState = Literal["waiting", "running", "done", "failed", "cancelled"]


class Operation(Record):
    """`arguments` are texts that the kind defines. Of the kind `upload` there are none in the book: what people send is
    shown in the same form. `text` says in words what is done or why it failed. `actor`: who
    asked for it; empty: Winslow itself."""

    id: str = Field(examples=["ok3m8x2w9q4r"])
    kind: OperationKind
    project: str = ""
    stage: int = 0
    attempt: int = 0
    arguments: dict[str, str] = {}
    actor: str = ""
    state: OperationState = "waiting"
    owner: str = ""
    lease_until: datetime | None = None
    cancelling: bool = False
    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    files_total: int = 0
    text: str = ""
    code: str = ""  # stable error code of a failure
    made: datetime
    ended: datetime | None = None


class Operations(Protocol):
    """The book of operations, in the store."""

    def put(self, operation: Operation) -> Operation:
        """Create-only by id: answers what is there."""
        ...

    def get(self, operation: str) -> Operation | None: ...

    def list(self, *, open_only: bool = True) -> Sequence[Operation]: ...

    def take(self, owner: str, lease: float) -> Operation | None:
        """The oldest that is waiting, or running under a lease that ran out; now owned for `lease` seconds."""
        ...

    def renew(self, operation: Operation, lease: float) -> bool:
        """Store progress and extend the lease. False: cancelled, or another owner has it; give up."""
        ...

    def finish(self, operation: Operation) -> bool:
        """Store the end (done, failed, cancelled). False: no longer ours."""
        ...

    def cancel(self, operation: str) -> None: ...

    def wait(self, timeout: float) -> None:
        """Return when an operation may have been put, or after `timeout` seconds."""
        ...
