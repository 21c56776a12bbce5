"""Faces as the centres, sides and angles of square boxes, and how the cells of a detector's network say them."""

from typing import NamedTuple

import numpy as np

from kp_tf.core.geometry import clusters

STRIDE = 8  # pixels of a cell
COARSEST = 32  # pixels that the sides of a picture are multiples of
SIDE = 32.0  # pixels of a box of which a cell says 0
CHANNELS = 6  # of a cell: logit, x, y, logarithm of the side, cosine, sine
SAME = 0.4  # intersection over union from which two boxes are of one face
NESTED = 0.8  # so they are if this much of the smaller one lies in the other: its size was seen wrongly


class Centres(NamedTuple):
    """N faces, the surest first.

    Attributes:
        faces: (N, 4) x and y of the box's centre in pixels from the picture's upper left corner, the box's side in
            pixels, and the angle in degrees, clockwise in the picture.
        scores: (N,) in [0, 1].
    """

    faces: np.ndarray
    scores: np.ndarray

    def boxes(self) -> np.ndarray:
        """(N, 4) left, top, width, height in pixels."""
        return squares(self.faces)


def decode(cells: np.ndarray, threshold: float) -> Centres:
    """The faces that a network's cells say.

    Args:
        cells: (h, w, 6) as `models.detector.detector_network` returns them.
        threshold: lowest score of a face.

    Returns:
        The peaks of the heatmap, each face once.
    """
    logits = cells[..., 0]
    height, width = logits.shape
    padded = np.pad(logits, 1, constant_values=-np.inf)
    around = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    rows, columns = np.nonzero((logits >= np.max(around, axis=0)) & (logits > np.log(threshold / (1 - threshold))))
    at = cells[rows, columns].astype(np.float64)
    x, y = STRIDE * (columns + 0.5 + at[:, 1]), STRIDE * (rows + 0.5 + at[:, 2])
    side, angle = SIDE * np.exp(np.clip(at[:, 3], -4, 5)), np.degrees(np.arctan2(at[:, 5], at[:, 4]))
    return each_once(Centres(np.column_stack([x, y, side, angle]), 1 / (1 + np.exp(-at[:, 0]))))


def each_once(found: Centres) -> Centres:
    """Without those that overlap a surer one."""
    kept = [same[0] for same in clusters(squares(found.faces), found.scores, SAME, NESTED)]
    return Centres(found.faces[kept], found.scores[kept])


def squares(faces: np.ndarray) -> np.ndarray:
    """The upright boxes (N, 4), left, top, width and height, of faces (N, 3 or 4) by centre and side."""
    return np.concatenate([faces[:, :2] - faces[:, 2:3] / 2, faces[:, 2:3], faces[:, 2:3]], axis=1)


def square_overlaps(faces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union (N, M) of the upright boxes of faces (N, 3 or 4) and (M, 3 or 4)."""
    reach = (faces[:, None, 2:3] + others[None, :, 2:3]) / 2 - np.abs(faces[:, None, :2] - others[None, :, :2])
    sides = np.minimum(faces[:, None, 2], others[None, :, 2])
    shared = np.clip(reach, 0, sides[..., None]).prod(axis=-1)
    return shared / (faces[:, None, 2] ** 2 + others[None, :, 2] ** 2 - shared)
