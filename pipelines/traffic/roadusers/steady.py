"""Takes the movement of the camera out: where a frame lies in the picture of its shot's first frame.

A camera held by hand or on a mast in the wind drifts by some pixels, and every edge of every house would count as
movement. Corners of the first frame are followed with optical flow; what most of them agree on is the camera, the
rest is traffic.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadusers.video import Image

Matrix = NDArray[np.float64]  # 2 x 3, affine
STILL: Matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
CORNERS, FEWEST, AGREE = 300, 12, 0.4
WINDOW = (21, 21)


class Steady:
    """`place(grey)` answers what maps a point of this frame to the first one; the first call sets that one."""

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self._reference: Image | None = None
        self._points: NDArray[np.float32] | None = None
        self._last = STILL  # reference -> frame
        self.frames = 0
        self.lost = 0  # frames in which too few corners agreed, so that the last place was kept

    def place(self, grey: Image) -> Matrix:
        self.frames += 1
        if not self._enabled:
            return STILL
        if self._reference is None:
            self._reference = grey
            self._points = cv2.goodFeaturesToTrack(grey, CORNERS, 0.01, max(8, grey.shape[1] // 64))
            return STILL
        found = self._follow(grey)
        if found is None:
            self.lost += 1
        else:
            self._last = found
        return np.asarray(cv2.invertAffineTransform(self._last), dtype=np.float64)

    def _follow(self, grey: Image) -> Matrix | None:
        points = self._points
        if points is None or len(points) < FEWEST or self._reference is None:
            return None
        guess = cv2.transform(points, self._last).astype(np.float32)
        there, ok, _ = cv2.calcOpticalFlowPyrLK(
            self._reference, grey, points, guess, winSize=WINDOW, maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
        )
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(
            grey, self._reference, there, points.copy(), winSize=WINDOW, maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
        )
        good = (ok[:, 0] == 1) & (ok_back[:, 0] == 1) & (np.abs(back - points).max(axis=(1, 2)) < 0.5)
        if good.sum() < FEWEST:
            return None
        matrix, inliers = cv2.estimateAffine2D(points[good], there[good], ransacReprojThreshold=1.5)
        if matrix is None or inliers is None or inliers.sum() < FEWEST or inliers.mean() < AGREE:
            return None
        if np.abs(matrix[:, :2] - np.eye(2)).max() > 0.12:  # no camera turns like this: traffic was followed
            return None
        return np.asarray(matrix, dtype=np.float64)


def apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    return (
        float(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]),
        float(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]),
    )
