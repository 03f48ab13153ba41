"""Attempt directories on a real disk, for tests of drivers: what the share's own code makes, in few lines."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Literal

from winslow_nomad.core.pipeline import Placement, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Spool
from winslow_nomad.core.stage import Cause, Outcome
from winslow_nomad.resources.endings import parse_end, parse_results, render_end


class AttemptTree:
    """The part of core.ports.Attempts that drivers use, over `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def directory(self, ref: AttemptRef) -> Path:
        return self.root / f"projects/{ref.project}/stages/{ref.stage:04d}-work/attempts/{ref.attempt}"

    def make(
        self,
        ref: AttemptRef,
        command: tuple[str, ...],
        *,
        environment: dict[str, str] | None = None,
        resources: Resources | None = None,
        timeout: float | None = None,
        stop_grace: float = 30.0,
        placement: Placement | None = None,
        stages: dict[str, str] | None = None,
        priority: int = 50,
    ) -> AttemptSpec:
        """A complete directory and its spec."""
        directory = self.directory(ref)
        for name in ("workspace", "output", "log", "stages"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (self.root / "inputs").mkdir(exist_ok=True)
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory / "workspace"),
            "WINSLOW_ATTEMPT": str(ref),
            "WINSLOW_OUTPUT": str(directory / "output"),
            "WINSLOW_RESULTS": str(directory / "results"),
            "WINSLOW_INPUT": str(self.root / "inputs"),
            **(environment or {}),
        }
        (directory / "command").write_bytes(b"".join(os.fsencode(a) + b"\0" for a in command))
        listed = b"".join(os.fsencode(f"{n}={v}") + b"\0" for n, v in variables.items())
        (directory / "environment").write_bytes(listed)
        (directory / "control").write_text("run\n")
        return AttemptSpec(
            ref=ref,
            stage_id="work",
            directory=str(directory.relative_to(self.root)),
            workspace=str((directory / "workspace").relative_to(self.root)),
            image="",
            entrypoint=None,
            command=command,
            resources=resources or Resources(cpu=1, memory=64 << 20),
            placement=placement or Placement(),
            timeout=timeout,
            stop_grace=stop_grace,
            run_as="winslow",
            priority=priority,
            pipeline_folder=None,
            stages=stages or {},
            previous_node="",
            avoid=(),
            installation="test",
            fingerprint=secrets.token_hex(8),
        )

    def cancel(self, ref: AttemptRef, outcome: Outcome | None = None) -> Outcome | None:
        ended = self.end(ref)
        if ended is not None:
            return ended
        claim = self.directory(ref) / "claim"
        if not claim.parent.exists():
            return outcome or Outcome(cause=Cause.CANCELLED)
        try:
            with os.fdopen(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
                json.dump({"kind": "cancelled", "token": secrets.token_hex(16)}, file)
        except FileExistsError:
            if '"cancelled"' not in claim.read_text():
                return self.end(ref)
        return self.publish_end(ref, outcome or Outcome(cause=Cause.CANCELLED))

    def claim_of(self, ref: AttemptRef) -> bytes | None:
        claim = self.directory(ref) / "claim"
        return claim.read_bytes() if claim.exists() else None

    def control(self, ref: AttemptRef, word: Literal["run", "terminate", "kill", "superseded"]) -> None:
        with (self.directory(ref) / "control").open("r+") as file:
            file.write(f"{word}\n")
            file.truncate()

    def end(self, ref: AttemptRef) -> Outcome | None:
        try:
            outcome = parse_end((self.directory(ref) / "end.json").read_bytes())
        except FileNotFoundError:
            return None
        results = b""
        with suppress(FileNotFoundError):
            results = (self.directory(ref) / "results").read_bytes()
        return outcome.but(results=parse_results(results)[0])

    def publish_end(self, ref: AttemptRef, outcome: Outcome) -> Outcome:
        made = self.directory(ref) / f".end-{secrets.token_hex(8)}"
        made.write_text(render_end(outcome, secrets.token_hex(16), "winslow"))
        with suppress(FileExistsError):
            os.link(made, self.directory(ref) / "end.json")
        made.unlink()
        counts = self.end(ref)
        assert counts is not None
        return counts

    def complete_log(self, ref: AttemptRef, spool: Spool) -> bool:
        sizes = spool.sizes()
        for stream in ("out", "err", "index") if sizes is not None else ():
            path = self.directory(ref) / "log" / stream
            with path.open("ab") as file:
                file.write(spool.read(stream, path.stat().st_size, sizes[stream]))
        return sizes is not None

    def output(self, ref: AttemptRef, stream: str = "out") -> str:
        return (self.directory(ref) / "log" / stream).read_text()
