"""Made-up streets with a known truth, and stages run as Winslow runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

PIPELINES = Path(__file__).parents[2] / "pipelines"


@dataclass(frozen=True)
class Car:
    """A box that drives at a constant speed from a second on; positions are of its centre."""

    x: float
    y: float
    across: float  # pixels per second
    down: float = 0.0
    width: int = 36
    height: int = 20
    starts: float = 0.0
    ends: float = 1e9
    shade: int = 225


def film(
    path: Path,
    cars: list[Car],
    seconds: float = 3.0,
    rate: int = 25,
    size: tuple[int, int] = (320, 180),
    post: tuple[int, int] | None = None,
    shake: float = 0.0,
    cut_at: float | None = None,
) -> Path:
    """Cars on a textured street; `post` hides columns, `shake` moves the camera, `cut_at` changes the street."""
    rng = np.random.default_rng(7)
    streets = []
    for _ in range(2):
        coarse = rng.integers(40, 150, (size[1] // 12 + 6, size[0] // 12 + 6, 3))
        streets.append(np.repeat(np.repeat(coarse, 12, axis=0), 12, axis=1).astype(np.int16))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for k in range(round(seconds * rate)):
            second = k / rate
            dx, dy = round(12 + shake * np.sin(second * 5)), round(12 + shake * np.cos(second * 4))
            street = streets[cut_at is not None and second >= cut_at]
            picture = street[dy : dy + size[1], dx : dx + size[0]] + rng.normal(0, 2, (size[1], size[0], 1))
            for car in cars:
                if car.starts <= second <= car.ends:
                    cx = car.x + car.across * (second - car.starts) - dx + 12
                    cy = car.y + car.down * (second - car.starts) - dy + 12
                    x0, x1 = round(cx - car.width / 2), round(cx + car.width / 2)
                    y0, y1 = round(cy - car.height / 2), round(cy + car.height / 2)
                    picture[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = car.shade
            if post:
                picture[:, post[0] : post[1]] = 60
            image = np.clip(picture, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = k, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@dataclass
class Run:
    """Stages of one lineage below a folder, each with the workspace of the one before and the environment."""

    folder: Path
    pipeline: str
    values: dict[str, str] = field(default_factory=dict)
    last: Path | None = None

    def stage(self, name: str, script: str, fresh: bool = False, output: str = "", **values: str) -> Done:
        work, out = (
            self.folder / f"{output or name}.workspace".replace("/", "-"),
            self.folder / "stages" / (output or name),
        )
        if self.last and not fresh:
            shutil.copytree(self.last, work)
        else:
            work.mkdir(parents=True)
        out.mkdir(parents=True)
        notes = self.folder / f"{work.name}.notes"
        notes.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            **self.values,
            **values,
            "WINSLOW_PIPELINE": str(PIPELINES / self.pipeline),
            "WINSLOW_WORKSPACE": str(work),
            "WINSLOW_OUTPUT": str(out),
            "WINSLOW_STAGES": str(self.folder / "stages"),
            "WINSLOW_RESULTS": str(notes / "results"),
            "WINSLOW_PROGRESS": str(notes / "progress"),
        }
        command = [sys.executable, str(PIPELINES / self.pipeline / script)]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        results = notes / "results"
        lines = results.read_text().splitlines() if results.exists() else []
        progress = notes / "progress"
        if done.returncode == 0 and not output:
            self.last = work
        return Done(
            done.returncode,
            done.stderr,
            dict(line.split("=", 1) for line in lines),
            progress.read_text().strip() if progress.exists() else "",
            out,
        )


@dataclass(frozen=True)
class Done:
    code: int
    errors: str
    results: dict[str, str]
    progress: str
    output: Path


TRAFFIC = (
    ("detect", "detect.py"), ("inspect", "preview.py"), ("track", "track.py"),
    ("clean_up", "clean_up.py"), ("analyse", "analyse.py"),
)  # fmt: skip


def traffic(folder: Path, video: Path, **values: str) -> dict[str, Done]:
    run = Run(folder, "traffic", {"VIDEO": str(video), **values})
    done = {}
    for name, script in TRAFFIC:
        done[name] = run.stage(name, script)
        assert done[name].code == 0, f"{name}: {done[name].errors}"
    return done
