"""Finding an object without a detector: where objects lie on average or, if none is there, in the whole picture."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from PIL import Image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.geometry import crop_windows, misses_image
from kp_tf.predict.cascade import cropper_of, run_cascade
from kp_tf.predict.confidence import are_sharp
from kp_tf.predict.search import search

ROUNDS = 3  # of predictions; each is in the box around the points of the last
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
    """What a network predicts in a box (4,) of an upright picture: (K, 3), see `run_cascade`."""
    crop = cropper_of(grey, info.recipe.shape)
    return run_cascade(network, info, crop, box[None], np.array([grey.size]), flips=flips)[0]


def find_object(
    network: Network, info: ModelInfo, grey: Image.Image, usual: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find an object: the network begins where objects usually are, and searches the picture if in doubt.

    Args:
        network: from `backends.load_network`.
        info: its description.
        grey: the upright picture in grey.
        usual: (4,) from `usual_box`. If nothing is found anywhere, the result is what is found from here.

    Returns:
        The box (4,) of the object, and what the network predicts there: (K, 3), see `run_cascade`.
    """
    predict, recipe = partial(network_outputs, network, info, grey), info.recipe
    box, outputs = follow_points(predict, usual, grey.size, recipe.crop_scale)
    if recipe.takes_whole_photographs or not recipe.has_heatmaps or are_sharp(info, outputs[None, :, 2])[0]:
        return box, outputs
    for surest in search(network, info, grey)[:1]:
        return surest, predict(surest)
    return box, outputs


def follow_points(
    predict: Callable[[np.ndarray], np.ndarray], box: np.ndarray, size: tuple[int, int], crop_scale: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Where a network moves from a box, by its own points.

    Args:
        predict: what it predicts in a box (4,): (K, 2 or more), x and y first.
        box: (4,) to begin with.
        size: width and height of the photograph.
        crop_scale: of the network's recipe.

    Returns:
        The last box (4,), and what it predicts there.
    """
    outputs = predict(box)
    for _ in range(ROUNDS - 1):
        following = box_around(outputs[:, :2])
        if misses_image(crop_windows(following[None], crop_scale), np.array([size])).any():
            break  # the points have strayed
        box, outputs = following, predict(following)
    return box, outputs
