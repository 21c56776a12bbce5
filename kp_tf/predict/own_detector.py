"""The detector that comes with the package, on pictures of every size."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from PIL import Image

from kp_tf.core.centres import COARSEST, Centres, decode, each_once

Cells: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From grey pictures (B, H, W, 1) in [-0.5, 0.5], whose sides are multiples of 32, to cells (B, H / 8, W / 8, 6)."""

SIDES = (640, 320)  # pixels of the longer side; the smaller picture shows large faces
MAX_ENLARGED = 2.0  # times


def find_centres(network: Cells, picture: Image.Image, threshold: float, square: bool = False) -> Centres:
    """Find the faces of a picture.

    Args:
        network: of `models.detector.detector_network`.
        picture: upright.
        threshold: lowest score.
        square: show the network squares alone.

    Returns:
        The faces, in pixels of the picture.
    """
    grey, found = picture.convert("L"), []
    for longer in SIDES:
        scale = min(MAX_ENLARGED, longer / max(grey.size))
        width, height = (max(1, round(side * scale)) for side in grey.size)
        small = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
        padded = (longer, longer) if square else tuple(-(-side // COARSEST) * COARSEST for side in (height, width))
        image = np.full((1, *padded, 1), -0.5, np.float32)
        image[0, :height, :width, 0] = small / np.float32(255) - np.float32(0.5)
        centres = decode(network(image)[0], threshold)
        found.append(Centres(centres.faces / [scale, scale, scale, 1], centres.scores))
    return each_once(Centres(*(np.concatenate(parts) for parts in zip(*found, strict=True))))
