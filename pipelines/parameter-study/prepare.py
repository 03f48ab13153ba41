"""Make a film of bright and dark spots that wander over grain, and keep the truth about where they are."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import numpy as np  # noqa: E402
import stage  # noqa: E402

HEIGHT, WIDTH, RADIUS = 90, 160, 3

spots, frames = int(stage.number("SPOTS", 12)), int(stage.number("FRAMES", 60))
noise, rng = stage.number("NOISE", 12), np.random.default_rng(int(stage.number("SEED", 1)))
ground = 110 + 30 * np.sin(np.linspace(0, 6, WIDTH))[None, :] + np.zeros((HEIGHT, 1))
place = rng.uniform((0, 0), (WIDTH, HEIGHT), (spots, 2))
speed = rng.uniform(-2.5, 2.5, (spots, 2))
contrast = rng.uniform(45, 110, spots) * rng.choice([-1, 1], spots)
y, x = np.mgrid[:HEIGHT, :WIDTH]
film = np.empty((frames, HEIGHT, WIDTH), np.uint8)
truth = np.empty((frames, spots, 2))
for k in range(frames):
    picture = ground.copy()
    for (cx, cy), c in zip(place, contrast, strict=True):
        picture[(x - cx) ** 2 + (y - cy) ** 2 <= RADIUS**2] += c
    film[k] = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)
    truth[k] = place
    place = (place + speed) % (WIDTH, HEIGHT)
    stage.progress(100 * (k + 1) / frames)
# In the workspace and not in the output: only later stages need it, no person does.
np.savez_compressed(stage.WORKSPACE / "film.npz", film=film, truth=truth)
stage.result(positions=frames * spots)
