"""Where a network looks: once at a box that is given, or first all over and then around the points just found."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from kp_tf.artifacts.runs import Run
from kp_tf.core.geometry import crop_windows, empty, scaled

STEP = 0.5  # of the box, between the windows of a first look


class Look(Protocol):
    """One look of a network at some of N faces."""

    def __call__(self, faces: np.ndarray, boxes: np.ndarray, last: bool) -> np.ndarray:
        """Indices (n,) and boxes (n, 4) to x, y in pixels of the photographs and a variance (n, K, 3).

        `last`: the answer will be kept, so it may cost more.
        """


def outputs_of(
    look: Look, boxes: np.ndarray, run: Run, sizes: Callable[[], np.ndarray], framed: bool = False
) -> np.ndarray:
    """Outputs (N, K, 3) of a network for N boxes (N, 4), after as many looks as its recipe has.

    Each look after the first is at the box that the mean face's points would have, moved and scaled onto those just
    found: so it matters less how the first box was made, and the first window may be larger.

    Args:
        look: the network at work.
        boxes: of the faces or, where they are framed, of whole photographs.
        run: that trained the network.
        sizes: gives the photographs' width and height (N, 2), asked for after the first look.
        framed: the first look is where faces were in the training's photographs and a little to all sides, and
            goes on in the window in which the heatmaps are sharpest.
    """
    framing = run.framing if framed else None
    around = framing or run.face
    faces, looks = np.arange(len(boxes)), run.recipe.looks if around else 1
    wide = run.recipe.wide if looks > 1 else 1.0
    found = _all_over(look, boxes, run) if framing else look(faces, scaled(boxes, wide), last=looks == 1)
    if looks > 1:
        start, photographs = framing.first(boxes) if framing else boxes, sizes()
    for number in range(1, looks):
        new = around.around(found[..., :2], boxes)
        # points that went astray must not lead out of the photograph
        astray = empty(crop_windows(new, run.recipe.crop_scale), photographs)
        found = look(faces, np.where(astray[:, None], start, new), last=number == looks - 1)
    return found


def _all_over(look: Look, photographs: np.ndarray, run: Run) -> np.ndarray:
    """The sharpest of nine windows: the mean face's and eight around it."""
    mean = run.framing.first(photographs)
    steps = np.array([(x, y, 0, 0) for y in (0, -1, 1) for x in (0, -1, 1)]) * STEP
    boxes = scaled((mean[:, None] + steps * mean[:, None, [2, 3, 2, 3]]).reshape(-1, 4), run.recipe.wide)
    found = look(np.repeat(np.arange(len(mean)), len(steps)), boxes, last=False)
    found = found.reshape(len(mean), len(steps), -1, 3)
    best = found[..., 2].mean(axis=2).argmin(axis=1)
    return found[np.arange(len(mean)), best]
