"""Finding an object without a detector: a network begins where objects lie on average, and follows its own points."""

from collections.abc import Callable, Mapping

import numpy as np

from kp_tf.core.geometry import crop_windows, misses_image

ROUNDS = 3  # each begins with the box of the last
MARGIN = 0.1  # of a box around points, in units of its longer side, as in static/project/shape.js
SMALLEST_BOX = 8  # pixels


def usual_box(shape: Mapping, size: tuple[int, int]) -> np.ndarray:
    """Where objects lie on average: the box (4,) around the mean shape in a photograph of this width and height.

    Args:
        shape: from `mean_shape`, not empty.
        size: of the upright photograph.
    """
    mean = np.array([point or (np.nan, np.nan) for point in shape["points"]], np.float64)
    return box_around(mean * shape["size"] * np.sqrt(np.prod(size)) + np.multiply(shape["centre"], size))


def box_around(points: np.ndarray) -> np.ndarray:
    """The box (4,) around the points (K, 2) that are there, with a margin."""
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    size = np.maximum(high - low + 2 * MARGIN * (high - low).max(), SMALLEST_BOX)
    return np.concatenate([(low + high + 1 - size) / 2, size])


def find_object(
    predict: Callable[[np.ndarray], np.ndarray], box: np.ndarray, size: tuple[int, int], crop_scale: float | None
) -> np.ndarray:
    """The box (4,) in which a network finds its own points.

    Args:
        predict: the points (K, 2) that it predicts in a box (4,).
        box: (4,) to begin with.
        size: width and height of the photograph.
        crop_scale: of the network's recipe.
    """
    for _ in range(ROUNDS - 1):
        following = box_around(predict(box))
        if misses_image(crop_windows(following[None], crop_scale), np.array([size])).any():
            break  # the points have strayed
        box = following
    return box
