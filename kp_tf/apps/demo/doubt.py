"""How unsure a network is of photographs, and the order in which marking them should help it most."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from kp_tf.core.geometry import crop_windows
from kp_tf.core.images import crop_image

LOOK = (12, 12)  # rows and columns of the small picture by which photographs are compared
APART = 0.5  # of the median distance between two photographs: nearer ones count as alike, the more the nearer
PICKED = 200  # photographs that are put in order one by one
COMPARED = 500  # photographs, evenly chosen, that the median distance comes from


def expected_errors(plain: np.ndarray, averaged: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """How unsure a network is of N objects: the mean error (N,) to expect of their points.

    The standard deviation of a point's heatmap is about its expected error (`models.losses.laplace_nll`). Where the
    picture and its mirror image have the point in different places, half of their distance is an error of one at least.

    Args:
        plain: (N, K, 3) from `predict.cascade.run_cascade`, in pixels.
        averaged: (N, K, 3) the same with flips; `plain` again if points have no partners.
        sides: (N,) of the crops, in pixels.

    Returns:
        In units of the crop's side.
    """
    apart = np.linalg.norm(averaged[..., :2] - plain[..., :2], axis=-1) / sides[:, None]
    return np.sqrt(np.nan_to_num(plain[..., 2]) + apart**2).mean(axis=1)


def look_of(grey: Image.Image, box: np.ndarray) -> np.ndarray:
    """What an object looks like: its box (4,) as a small picture (D,) of mean 0 and norm 1, or all 0 if it is blank."""
    crop = crop_image(grey, crop_windows(box[None], None)[0], LOOK).astype(np.float32).ravel()
    crop -= crop.mean()
    return crop / (np.linalg.norm(crop) or 1)


def most_useful_first(doubts: np.ndarray, looks: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> list[int]:
    """The order of N photographs: the most doubtful first, but those that look like an earlier one later.

    Args:
        doubts: (N,) from `expected_errors`.
        looks: of each of them (D,) from `look_of`.
        known: the looks of those that are marked already, which count as earlier.

    Returns:
        Their indices.
    """
    if not len(looks):
        return []
    far, own = APART * _median_distance(np.stack([*looks, *known])), np.stack(looks)
    nearest = np.full(len(own), np.inf)
    for look in known:
        nearest = np.minimum(nearest, np.linalg.norm(own - look, axis=1))
    left, order = np.ones(len(own), bool), []
    for _ in range(min(PICKED, len(own))):
        best = int(np.where(left, _usefulness(doubts, nearest, far), -1).argmax())
        left[best] = False
        order.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(own - own[best], axis=1))
    rest = np.flatnonzero(left)
    return [*order, *rest[np.argsort(-_usefulness(doubts, nearest, far)[rest], kind="stable")].tolist()]


def _usefulness(doubts: np.ndarray, nearest: np.ndarray, far: float) -> np.ndarray:
    return doubts * np.minimum(nearest / far, 1) if far else doubts


def _median_distance(looks: np.ndarray) -> float:
    chosen = looks[:: max(1, len(looks) // COMPARED)]
    first, second = np.triu_indices(len(chosen), 1)
    squares = 2 * (1 - (chosen @ chosen.T)[first, second]) if len(first) else np.zeros(1)
    return float(np.sqrt(max(np.median(squares), 0)))
