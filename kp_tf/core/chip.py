"""A face cut out of its photograph, upright and of a fixed size, as recognition networks and albums take it."""

import numpy as np
from PIL import Image

from kp_tf.core.images import Picture, open_photograph

TIGHT = 2.6  # side of the square from the brows to the chin, in units of the face
EYE_LINE = 0.25  # height of the eyes in that square
MOUTH_TO_EYES = 0.9  # of a frontal face: the distance of its eyes over the distance from the eyes to the mouth


def cut_chip(image: Picture, five: np.ndarray, size: int, padding: float) -> Image.Image:
    """Cut out a face.

    Args:
        image: the photograph, as for `Predictor.predict`.
        five: (5, 2) centres of the eyes, tip of the nose and corners of the mouth, in pixels of the upright photograph.
        size: side of the result in pixels.
        padding: added on each side of the square from the brows to the chin, in sides of that square.

    Returns:
        An RGB picture of size × size, black where it leaves the photograph.

    Raises:
        KpError: if the photograph cannot be read.
        ValueError: if a point is missing, two of them coincide, or the size or the padding cannot be used.
    """
    if size < 1 or padding < 0:
        raise ValueError(f"size must be at least 1 and padding not negative. Received: {size=}, {padding=}")
    photograph = open_photograph(image)
    inverse = _to_photograph(five, size, padding)
    return _warp(photograph.upright, inverse, size)


def _to_photograph(five: np.ndarray, size: int, padding: float) -> np.ndarray:
    """The similarity (2, 3) from pixel edges of the chip to those of the upright photograph.

    The line through the eyes becomes level. The unit is the distance of the eyes or, where the face is turned aside and
    they come closer, that from the eyes to the mouth (as T. Karras, S. Laine, T. Aila, CVPR 2019, align FFHQ).
    """
    left, right, _, *mouth = five + 0.5
    middle, across = (left + right) / 2, right - left
    down = np.mean(mouth, axis=0) - middle
    unit = max(np.linalg.norm(across), MOUTH_TO_EYES * np.linalg.norm(down))
    if not (np.isfinite(unit) and np.linalg.norm(across) > 0):
        raise ValueError(f"a chip needs both eyes and the mouth. Received: {five.tolist()}")
    x = across / np.linalg.norm(across) * unit * TIGHT * (1 + 2 * padding) / size  # one pixel of the chip
    axes = np.stack([x, (-x[1], x[0])], axis=1)
    eyes = size * np.array([0.5, (EYE_LINE + padding) / (1 + 2 * padding)])
    return np.concatenate([axes, (middle - axes @ eyes)[:, None]], axis=1)


def _warp(picture: Image.Image, inverse: np.ndarray, size: int) -> Image.Image:
    """Draw a square of a picture, reduced with antialiasing first if the square is smaller than what it shows."""
    scale = max(float(np.linalg.norm(inverse[:, 0])), 1.0)  # pixels of the photograph for one of the chip
    corners = inverse @ np.array([(0, size, 0, size), (0, 0, size, size), (1, 1, 1, 1)])
    low = np.clip(np.floor(corners.min(axis=1) - 2 * scale), 0, picture.size)
    high = np.clip(np.ceil(corners.max(axis=1) + 2 * scale), 0, picture.size)
    if (high <= low).any():
        return Image.new("RGB", (size, size))
    reduced = np.maximum(np.rint((high - low) / scale), 1).astype(int)
    part = picture.resize((int(reduced[0]), int(reduced[1])), Image.Resampling.LANCZOS, (*low, *high))
    inverse = np.concatenate([inverse[:, :2], (inverse[:, 2] - low)[:, None]], axis=1)
    rows = inverse * (reduced / (high - low))[:, None]
    return part.transform((size, size), Image.Transform.AFFINE, tuple(rows.ravel()), Image.Resampling.BICUBIC)
