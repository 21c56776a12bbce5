"""Finding an object without a detector: where objects lie on average or, if none is there, in the whole picture."""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.geometry import crop_windows, misses_image
from kp_tf.predict.cascade import cropper_of, run_cascade
from kp_tf.predict.search import are_sharp, search

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


def network_outputs(
    network: Network, info: ModelInfo, grey: Image.Image, box: np.ndarray, flips: bool = False
) -> np.ndarray:
    """What a network predicts in a box (4,) of an upright picture: (1, K, 3), see `run_cascade`."""
    crop = cropper_of(grey, info.recipe.shape)
    return run_cascade(network, info, crop, box[None], np.array([grey.size]), flips=flips)


def find_object(network: Network, info: ModelInfo, grey: Image.Image, usual: np.ndarray) -> np.ndarray:
    """The box (4,) of an object: the network begins where objects usually are, and searches the picture if in doubt.

    Args:
        network: from `backends.load_network`.
        info: its description.
        grey: the upright picture in grey.
        usual: (4,) from `usual_box`. If nothing is found anywhere, the result is the box that is found from here.
    """

    def points(box: np.ndarray) -> np.ndarray:
        return network_outputs(network, info, grey, box)[0, :, :2]

    box, recipe = follow_points(points, usual, grey.size, info.recipe.crop_scale), info.recipe
    if recipe.takes_whole_photographs or not recipe.has_heatmaps:
        return box
    if are_sharp(info, network_outputs(network, info, grey, box)[..., 2]):
        return box
    return next(iter(search(network, info, grey)), box)


def follow_points(
    predict: Callable[[np.ndarray], np.ndarray], box: np.ndarray, size: tuple[int, int], crop_scale: float | None
) -> np.ndarray:
    """The box (4,) onto which a network moves from a box, by its own points.

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
