"""Finding things without a detector: the network's first pass at many places, where its heatmaps are sharp.

The exported page does the same (apps/demo/static/search.js).
"""

import numpy as np
from PIL import Image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import clusters, crop_windows, misses_image, scale_boxes, to_pixels
from kp_tf.predict.cascade import cropper_of, predict_all, run_cascade
from kp_tf.predict.confidence import are_sharp, mean_deviation

NETWORK = "network"  # the name of this search among those of the detectors
SIDES = (0.75, 0.5, 0.34)  # of the boxes, in units of the picture's shorter side
STEP = 0.5  # between boxes, in units of their side
TRIED = 6  # of the sharpest places go through all passes
SAME = 0.3  # intersection over union from which two boxes are of one thing
NESTED = 0.8  # so they are if this much of the smaller one lies in the other: one of them shows a part of the thing


def search(network: Network, info: ModelInfo, grey: Image.Image) -> np.ndarray:
    """The boxes (N, 4) of the things that are at least a quarter of the picture high, the surest first.

    Args:
        network: from `backends.load_network`.
        info: its description.
        grey: the upright picture in grey.

    Raises:
        KpError: if the network has no heatmaps.
    """
    if not info.recipe.has_heatmaps:
        raise KpError(f"{info.path} has no heatmaps, by which a network finds things itself: pass a box")

    crop = cropper_of(grey, info.recipe.shape)
    boxes = _boxes_in(*grey.size)
    windows = crop_windows(scale_boxes(boxes, info.recipe.first_pass_scale), info.recipe.crop_scale)
    outputs = predict_all(network, crop(np.arange(len(windows)), windows))
    boxes = _around(info, to_pixels(outputs[..., :2], windows), boxes)
    boxes = boxes[_distinct(boxes, outputs[..., 2])[:TRIED]]
    outputs = run_cascade(network, info, crop, boxes, np.repeat([grey.size], len(boxes), axis=0))
    boxes = _around(info, outputs[..., :2], boxes)
    outside = misses_image(crop_windows(boxes, info.recipe.crop_scale), np.array([grey.size]))
    things = ~outside & are_sharp(info, outputs[..., 2])
    return boxes[things][_distinct(boxes[things], outputs[things, :, 2], NESTED)]


def _boxes_in(width: int, height: int) -> np.ndarray:
    """Squares (N, 4) of several sizes that cover a picture evenly."""
    boxes = []
    for side in np.multiply(SIDES, min(width, height)):
        across, down = (np.linspace(0, length - side, _count(length, side)) for length in (width, height))
        boxes += [(left, top, side, side) for top in down for left in across]
    return np.array(boxes)


def _count(length: int, side: float) -> int:
    """Of the boxes of a side that cover a length, STEP sides apart at most."""
    return int(np.ceil((length - side) / (STEP * side))) + 1


def _around(info: ModelInfo, points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) around points (N, K, 2) that were predicted in boxes (N, 4)."""
    return info.mean_face.boxes_around(points, boxes) if info.mean_face else boxes


def _distinct(boxes: np.ndarray, variance: np.ndarray, nested: float = np.inf) -> list[int]:
    """The indices of those that are not of one thing with a sharper one, from boxes (N, 4) and variances (N, K)."""
    return [same[0] for same in clusters(boxes, -mean_deviation(variance), SAME, nested)]
