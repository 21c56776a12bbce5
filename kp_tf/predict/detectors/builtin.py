"""The detector that comes with the package, see `models.detector`, through LiteRT or Keras."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from kp_tf.artifacts.weights import FOLDER
from kp_tf.backends.detector import load_detector
from kp_tf.backends.network import Cells
from kp_tf.core.centres import COARSEST, Centres, decode, each_once
from kp_tf.predict.detectors.boxes import Detections

THRESHOLD = 0.25
SIDES = (640, 320)  # pixels of the longer side; the smaller picture shows large faces
MAX_ENLARGED = 2.0  # times
MIN_SIDE = 16  # pixels of the picture: a smaller box is seldom a face, and shows no landmarks


def detect(picture: Image.Image, threshold: float = THRESHOLD, folder: Path = FOLDER) -> Detections:
    """Detect faces in an upright RGB picture, by the network in a folder; errors as of `load_detector`."""
    found = find_centres(_networks(folder), picture, threshold)
    return Detections(found.boxes(), found.scores, found.faces[:, 3])


def find_centres(networks: tuple[Cells, ...], picture: Image.Image, threshold: float) -> Centres:
    """Find the faces of a picture.

    Args:
        networks: for each of SIDES; they may be the same.
        picture: upright.
        threshold: lowest score.

    Returns:
        The faces, in pixels of the picture.
    """
    grey, found = picture.convert("L"), []
    for network, longer in zip(networks, SIDES, strict=True):
        scale = min(MAX_ENLARGED, longer / max(grey.size))
        width, height = (max(1, round(side * scale)) for side in grey.size)
        small = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
        padded = (-(-side // COARSEST) * COARSEST for side in (height, width))
        image = np.full((1, *padded, 1), -0.5, np.float32)
        image[0, :height, :width, 0] = small / np.float32(255) - np.float32(0.5)
        centres = decode(network(image)[0], threshold)
        found.append(Centres(centres.faces / [scale, scale, scale, 1], centres.scores))
    faces, scores = each_once(Centres(*(np.concatenate(parts) for parts in zip(*found, strict=True))))
    large = faces[:, 2] >= MIN_SIDE
    return Centres(faces[large], scores[large])


@cache
def _networks(folder: Path) -> tuple[Cells, ...]:
    """One for each size, so that none changes its size in photographs of one size."""
    return tuple(load_detector(folder) for _ in SIDES)
