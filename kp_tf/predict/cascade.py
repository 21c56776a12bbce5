"""The passes of a network: a large window first, then smaller ones centred on the landmarks just predicted."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
from PIL import Image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.geometry import crop_windows, misses_image, scale_boxes, to_pixels, with_angles
from kp_tf.core.images import crop_image
from kp_tf.core.mean_face import MeanFace
from kp_tf.predict.confidence import are_doubtful, are_sharp, mean_deviation

BATCH_SIZE = 64  # crops through the network at once
TURNS = range(45, 360, 45)  # degrees by which the first window is rotated, if the upright one is in doubt
KNOWN_TURNS = TURNS[1::2]  # likewise, if the angle is known roughly: most of what is in doubt then is no face
KEPT_TURNS = 3  # of them, those with the sharpest heatmaps, go on to the next pass
UPRIGHT_BONUS = 0.85  # another rotation must have sharper heatmaps than the upright one by this factor
STEP = 0.5  # of the box, between the nine windows of a first pass over whole photographs


class Cropper(Protocol):
    """Where crops come from: photographs in memory, or files through `tf.data`."""

    def __call__(self, faces: np.ndarray, windows: np.ndarray) -> Iterable[np.ndarray]:
        """Yield the crop (H, W) or (H, W, 1) uint8 of each window (n, 4 or 5) of the faces with these indices (n,)."""
        ...


def cropper_of(grey: Image.Image, shape: tuple[int, int]) -> Cropper:
    """Crops of shape (H, W) from one upright picture in grey."""
    return lambda faces, windows: (crop_image(grey, window, shape) for window in windows)


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

    If the recipe says so, windows are rotated: the first as the box is, the others with the face. A face with unusually
    wide heatmaps in the first pass may be tilted too far. Its first window is then tried at seven other rotations; the
    sharpest go through the next passes as well, and the sharpest of all is kept. Where a detector has told the angle,
    what is in doubt is seldom a face, so three rotations are tried, and only those with sharp heatmaps go on.

    Args:
        network: from `backends.load_network`.
        info: its recipe, mean face and flip partners.
        crop: yields the crops of windows in pixels of the upright photographs.
        boxes: (N, 4) of the faces or, if framed, of whole photographs; in pixels of the upright photographs. (N, 5) if
            the angles of some faces are known, at least roughly; NaN for the others.
        sizes: (N, 2) width and height of the upright photographs.
        framed: the boxes are whole photographs. The first pass tries nine windows around the place where faces lie on
            average and keeps the one in which the heatmaps are sharpest.
        flips: in the last pass, predict the mirrored crop as well and average the two.

    Returns:
        (N, K, 3): x and y in pixels of the upright photographs, and the variance of the point's heatmap in units of
        the crop's side, NaN if the network has no heatmaps.
    """
    recipe, framing = info.recipe, info.framing if framed else None
    of_unknown_angle = np.isnan(with_angles(boxes)[:, 4])
    boxes = np.nan_to_num(with_angles(boxes)) if recipe.rotated_windows else boxes[:, :4]

    def run_pass(faces: np.ndarray, boxes: np.ndarray, last: bool) -> np.ndarray:
        windows = crop_windows(boxes, recipe.crop_scale)
        outputs = predict_all(network, crop(faces, windows), info if flips and last else None)
        return np.concatenate([to_pixels(outputs[..., :2], windows), outputs[..., 2:]], axis=-1)

    mean_face = framing or info.mean_face
    num_passes = recipe.num_passes if mean_face else 1
    faces = np.arange(len(boxes))  # several times if several rotations of a face are tried
    start = framing.boxes_in(boxes) if framing else boxes
    if framing:
        outputs = _sharpest_window(run_pass, start, recipe.first_pass_scale)
    else:
        first = scale_boxes(boxes, recipe.first_pass_scale if num_passes > 1 else 1.0)
        outputs = run_pass(faces, first, last=num_passes == 1)
        if recipe.rotated_windows and num_passes > 1:
            faces, outputs = _with_turns(run_pass, first, outputs, info, of_unknown_angle)
    for number in range(1, num_passes):
        around = _boxes_around(mean_face, outputs[..., :2], boxes[faces], recipe.rotated_windows)
        astray = misses_image(crop_windows(around, recipe.crop_scale), sizes[faces])  # because of stray landmarks
        around[astray, 4:], around[astray, : start.shape[1]] = 0, start[faces[astray]]
        outputs = run_pass(faces, around, last=number == num_passes - 1)
    return _sharpest_turns(faces, outputs, len(boxes))


def predict_all(network: Network, crops: Iterable[np.ndarray], flips_of: ModelInfo | None = None) -> np.ndarray:
    """Outputs (N, K, 3) for N crops (H, W) or (H, W, 1) uint8, in batches; see `predict_crops`.

    With the description of the network as `flips_of`, they are averaged with those of the mirrored crops if its points
    have flip partners.
    """
    indices = flips_of.scheme.flip_indices if flips_of else None
    offset = flips_of.recipe.augmentation.flip_offset if flips_of else 0.0
    return np.concatenate([predict_crops(network, batch, indices, offset) for batch in _batches(crops)])


def predict_crops(
    network: Network, crops: np.ndarray, flip_indices: Sequence[int] | None = None, flip_offset: float = 0.0
) -> np.ndarray:
    """Outputs for crops, or their mean with those of the mirrored crops.

    Args:
        network: from `backends.load_network`.
        crops: (B, H, W, 1) uint8.
        flip_indices: K indices of the points' flip partners; None: no mirrored crops.
        flip_offset: of the network's points, see `recipes.Augmentation`.

    Returns:
        (B, K, 3).
    """
    images = scale_crops(crops)
    outputs = network(images)
    if flip_indices is None:
        return outputs
    mirrored = network(np.ascontiguousarray(images[:, :, ::-1]))[:, list(flip_indices)]
    return (outputs + mirrored * (-1.0, 1.0, 1.0) + (1 + 2 * flip_offset, 0.0, 0.0)) / 2


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


def _boxes_around(face: MeanFace | None, points: np.ndarray, boxes: np.ndarray, is_rotated: bool) -> np.ndarray:
    """The boxes (n, 4 or 5) of the next pass around points (n, K, 2)."""
    if face is None:
        return boxes.copy()
    return face.rotated_boxes_around(points, boxes) if is_rotated else face.boxes_around(points, boxes)


def _with_turns(
    run_pass: _Pass, boxes: np.ndarray, outputs: np.ndarray, info: ModelInfo, of_unknown_angle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Try other rotations of those boxes (N, 5) whose outputs (N, K, 3) are in doubt; some are `of_unknown_angle` (N,).

    Returns:
        Indices (n,) of faces and outputs (n, K, 3): all N as they are, then up to KEPT_TURNS rotations of those in
        doubt. Where the angle is known, only rotations with sharp heatmaps are among them.
    """
    everyone = np.arange(len(boxes))
    doubtful = np.flatnonzero(are_doubtful(outputs[..., 2], info.calibration, info.usual_deviation))
    if not len(doubtful):
        return everyone, outputs
    tries = [(face, turn) for face in doubtful for turn in (TURNS if of_unknown_angle[face] else KNOWN_TURNS)]
    faces, turns = np.array(tries).T
    turned = boxes[faces]
    turned[:, 4] += turns
    tried = run_pass(faces, turned, last=False)
    order = np.lexsort((mean_deviation(tried[..., 2]), faces))  # each face's, the sharpest first
    places = np.arange(len(faces)) - np.searchsorted(faces, faces)
    is_good = of_unknown_angle[faces] | are_sharp(info, tried[..., 2])
    kept = order[(places < KEPT_TURNS) & is_good[order]]
    return np.concatenate([everyone, faces[kept]]), np.concatenate([outputs, tried[kept]])


def _sharpest_turns(faces: np.ndarray, outputs: np.ndarray, count: int) -> np.ndarray:
    """Of each face the sharpest outputs (count, K, 3).

    Args:
        faces: (n,) their indices: all upright ones in order, then other rotations of some.
        outputs: (n, K, 3).
        count: of the faces.
    """
    if len(faces) == count:
        return outputs
    deviation = mean_deviation(outputs[..., 2])
    deviation[:count] *= UPRIGHT_BONUS
    best = np.arange(count)
    for index in range(count, len(faces)):
        if deviation[index] < deviation[best[faces[index]]]:
            best[faces[index]] = index
    return outputs[best]


def _sharpest_window(run_pass: _Pass, boxes: np.ndarray, scale: float) -> np.ndarray:
    """Outputs (N, K, 3) of the box (N, 4) or of one of the eight around it, wherever the heatmaps are sharpest."""
    steps = np.array([(x, y, 0, 0) for y in (0, -1, 1) for x in (0, -1, 1)]) * STEP
    windows = scale_boxes((boxes[:, None] + steps * boxes[:, None, [2, 3, 2, 3]]).reshape(-1, 4), scale)
    outputs = run_pass(np.repeat(np.arange(len(boxes)), len(steps)), windows, last=False)
    outputs = outputs.reshape(len(boxes), len(steps), -1, 3)
    best = outputs[..., 2].mean(axis=2).argmin(axis=1)
    return outputs[np.arange(len(boxes)), best]
