"""The passes of a network: a large window first, then smaller ones centred on the landmarks just predicted."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.geometry import crop_windows, misses_image, scale_boxes, to_pixels

BATCH_SIZE = 64  # crops through the network at once
STEP = 0.5  # of the box, between the nine windows of a first pass over whole photographs


class Cropper(Protocol):
    """Where crops come from: photographs in memory, or files through `tf.data`."""

    def __call__(self, faces: np.ndarray, windows: np.ndarray) -> Iterable[np.ndarray]:
        """Yield the crop (H, W) or (H, W, 1) uint8 of each window (n, 4) of the faces with these indices (n,)."""
        ...


def run_cascade(
    network: Network,
    info: ModelInfo,
    crop: Cropper,
    boxes: np.ndarray,
    sizes: np.ndarray,
    framed: bool = False,
    flips: bool = False,
) -> np.ndarray:
    """Predict the landmarks of N faces in as many passes as the recipe has.

    Each pass after the first takes the mean face's box, moved and scaled onto the landmarks just predicted. So the
    result depends little on who or what made the first box, and the first window may be larger.

    Args:
        network: from `backends.load_network`.
        info: its recipe, mean face and flip partners.
        crop: yields the crops of windows in pixels of the upright photographs.
        boxes: (N, 4) of the faces or, if framed, of whole photographs; in pixels of the upright photographs.
        sizes: (N, 2) width and height of the upright photographs.
        framed: the boxes are whole photographs. The first pass tries nine windows around the place where faces lie on
            average and keeps the one in which the heatmaps are sharpest.
        flips: in the last pass, predict the mirrored crop as well and average the two.

    Returns:
        (N, K, 3): x and y in pixels of the upright photographs, and the variance of the point's heatmap in units of
        the crop's side, NaN if the network has no heatmaps.
    """
    recipe = info.recipe

    def run_pass(faces: np.ndarray, boxes: np.ndarray, last: bool) -> np.ndarray:
        windows = crop_windows(boxes, recipe.crop_scale)
        flip_indices = info.scheme.flip_indices if flips and last else None
        batches = (predict_crops(network, batch, flip_indices) for batch in _batches(crop(faces, windows)))
        outputs = np.concatenate(list(batches))
        return np.concatenate([to_pixels(outputs[..., :2], windows), outputs[..., 2:]], axis=-1)

    framing = info.framing if framed else None
    mean_face = framing or info.mean_face
    num_passes = recipe.num_passes if mean_face else 1
    faces = np.arange(len(boxes))
    if framing:
        outputs = _sharpest_window(run_pass, framing.boxes_in(boxes), recipe.first_pass_scale)
    else:
        scale = recipe.first_pass_scale if num_passes > 1 else 1.0
        outputs = run_pass(faces, scale_boxes(boxes, scale), last=num_passes == 1)
    for number in range(1, num_passes):
        around = mean_face.boxes_around(outputs[..., :2], boxes) if mean_face else boxes
        # stray landmarks must not lead out of the photograph
        astray = misses_image(crop_windows(around, recipe.crop_scale), sizes)
        start = framing.boxes_in(boxes) if framing else boxes
        outputs = run_pass(faces, np.where(astray[:, None], start, around), last=number == num_passes - 1)
    return outputs


def predict_crops(network: Network, crops: np.ndarray, flip_indices: Sequence[int] | None = None) -> np.ndarray:
    """Outputs (B, K, 3) for crops (B, H, W, 1) uint8, or their mean with those of the mirrored crops."""
    images = scale_crops(crops)
    outputs = network(images)
    if flip_indices is None:
        return outputs
    mirrored = network(np.ascontiguousarray(images[:, :, ::-1]))[:, list(flip_indices)]
    return (outputs + mirrored * (-1.0, 1.0, 1.0) + (1.0, 0.0, 0.0)) / 2


def scale_crops(crops: np.ndarray) -> np.ndarray:
    """Crops of uint8 to float32 in [-0.5, 0.5], as `input.batches.scale_pixels` does in TensorFlow."""
    return crops.astype(np.float32) / 255 - np.float32(0.5)


def _batches(crops: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Crops to batches (B, H, W, 1)."""
    crops = iter(crops)
    while batch := list(islice(crops, BATCH_SIZE)):
        yield np.stack(batch).reshape(len(batch), *batch[0].shape[:2], 1)


class _Pass(Protocol):
    def __call__(self, faces: np.ndarray, boxes: np.ndarray, last: bool) -> np.ndarray: ...


def _sharpest_window(run_pass: _Pass, boxes: np.ndarray, scale: float) -> np.ndarray:
    """Outputs (N, K, 3) of the box (N, 4) or of one of the eight around it, wherever the heatmaps are sharpest."""
    steps = np.array([(x, y, 0, 0) for y in (0, -1, 1) for x in (0, -1, 1)]) * STEP
    windows = scale_boxes((boxes[:, None] + steps * boxes[:, None, [2, 3, 2, 3]]).reshape(-1, 4), scale)
    outputs = run_pass(np.repeat(np.arange(len(boxes)), len(steps)), windows, last=False)
    outputs = outputs.reshape(len(boxes), len(steps), -1, 3)
    best = outputs[..., 2].mean(axis=2).argmin(axis=1)
    return outputs[np.arange(len(boxes)), best]
