"""Reading and writing video with PyAV: exact times for every frame, and H.264 that every browser plays.

OpenCV's wheel could read the clip too, but it invents frame times for videos with a variable rate, and cannot write
H.264.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray

from roadusers.contract import Problem

Image = NDArray[np.uint8]
CLOCK = 90_000  # ticks per second in files we write: exact for all usual frame rates


@dataclass(frozen=True)
class Frame:
    index: int
    second: float
    image: Image


@dataclass(frozen=True)
class Facts:
    """What is known about a video once it has been read to its end."""

    name: str
    width: int
    height: int
    rate: float
    frames: int
    seconds: float

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class Reader:
    """One video file; `frames()` can be asked for again and starts anew each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise Problem(f"{path.name} holds no video, only sound or other data.")
                stream = container.streams.video[0]
                rate = stream.average_rate or stream.guessed_rate or stream.base_rate
                self.rate = float(rate) if rate else 25.0
                length = 0.0
                if stream.duration and stream.time_base:
                    length = float(stream.duration * stream.time_base)
                elif container.duration:
                    length = container.duration / av.time_base
                self.expected = stream.frames or max(1, round(length * self.rate))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise Problem(f"{path.name} cannot be read as a video ({_reason(error)}).") from None
        if not 0.1 <= self.rate <= 1000:
            self.rate = 25.0

    def frames(self) -> Iterator[Frame]:
        """Every frame, upright, in BGR, with its second. A broken tail ends the video with a warning."""
        index, first, last = 0, None, -1.0
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for picture in container.decode(stream):
                    second = index / self.rate if picture.time is None else float(picture.time)
                    first = second if first is None else first
                    second -= first
                    if second <= last:  # broken or repeated time stamps
                        second = last + 1 / self.rate
                    last = second
                    image = picture.to_ndarray(format="bgr24")
                    turn = round(getattr(picture, "rotation", 0) / 90) % 4
                    yield Frame(index, second, np.ascontiguousarray(np.rot90(image, turn)) if turn else image)
                    index += 1
        except (av.FFmpegError, OSError, ValueError) as error:
            if index == 0:
                raise Problem(f"{self.path.name} cannot be read as a video ({_reason(error)}).") from None
            print(f"warning: {self.path.name} is damaged after {last:.1f} s; the rest is left out.", file=sys.stderr)
        if index == 0:
            raise Problem(f"{self.path.name} has no frames.")


def _reason(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "it ends before its first frame"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".").lower()


class Writer:
    """An MP4 with H.264 in yuv420p and its index in front, so that a browser starts it before all of it is there."""

    def __init__(self, path: Path, width: int, height: int, rate: float, crf: int = 23) -> None:
        self.size = (width - width % 2, height - height % 2)  # yuv420p needs even sizes
        self._last = -1
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        stream = self._container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options=options)
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, CLOCK)
        self._stream = stream

    def write(self, image: Image, second: float) -> None:
        width, height = self.size
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="bgr24")
        self._last = max(self._last + 1, round(second * CLOCK))
        frame.pts = self._last
        frame.time_base = Fraction(1, CLOCK)
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode())
        self._container.close()
