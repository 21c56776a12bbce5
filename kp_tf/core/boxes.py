"""Checks of the boxes that users and label files give, in pixels as stored."""

from typing import Any

import numpy as np

from kp_tf.core.errors import KpError

MIN_SIDE = 2  # pixels
MAX_COORDINATE = 1e7


def check_boxes(name: str, boxes: Any) -> np.ndarray:
    """Boxes as an array (N, 4) of float64.

    Raises:
        KpError: if they are not finite numbers of that shape, or if a box has no size.
    """
    try:
        boxes = np.array(boxes, np.float64, ndmin=2) if np.size(boxes) else np.zeros((0, 4))
    except (TypeError, ValueError):  # not numbers, or rows of different lengths
        boxes = np.zeros((1, 0))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise KpError(f"{name}: a box must be four finite numbers: left, top, width, height")
    for width, height in boxes[:, 2:]:
        try:
            check_box_size(width, height)
        except KpError as error:
            raise KpError(f"{name}: {error}") from None
    if np.abs(boxes).max(initial=0) > MAX_COORDINATE:
        raise KpError(f"{name}: a box lies far from the picture, at {np.abs(boxes).max():g}")
    return boxes


def check_box_size(width: float, height: float) -> None:
    """Refuse a box without size, and one of less than two pixels, such as a box relative to its picture.

    Raises:
        KpError: if it is one of these.
    """
    if min(width, height) <= 0:
        raise KpError(f"a box needs positive width and height, found {width:g} × {height:g}")
    if min(width, height) < MIN_SIDE:
        raise KpError(f"a box of {width:g} × {height:g} pixels is too small; boxes are in pixels, not from 0 to 1")


def box_outside(name: str, box: np.ndarray, size: tuple[int, int]) -> KpError:
    """The error for a box (4 or 5,) that lies almost or wholly outside its picture of this width and height."""
    left, top, width, height = box[:4]
    where = f"left {left:g}, top {top:g}, {width:g} × {height:g}"
    return KpError(f"{name}: the box lies outside the picture of {size[0]} × {size[1]} pixels: {where}")
