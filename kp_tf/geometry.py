"""The one coordinate convention: boxes, crop windows, and pixels to the unit square of a crop and back.

A point is (x, y) in pixels of the photograph as stored; the centre of its top left pixel is (0, 0), as in
dlib's XML. A box is (left, top, width, height) and covers [left − ½, left + width − ½): pixel edges. The unit
square of a window is u = (x − left + ½) / width, so that a resize with half-pixel centres keeps u.
"""

import numpy as np


def crop_windows(boxes: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Windows of whole pixels to crop.

    Args:
        boxes: (N, 4) left, top, width, height in pixels.
        scale: 1 takes the boxes as they are; any other takes a square about each box's centre whose side is
            `scale` times the box's longer side.

    Returns:
        (N, 4) int32, at least one pixel wide and high. A window may leave its photograph.
    """
    boxes = np.asarray(boxes, np.float64)
    corner, size = boxes[:, :2], boxes[:, 2:]
    if scale != 1.0:
        side = scale * size.max(axis=1, keepdims=True)
        corner, size = corner + (size - side) / 2, np.repeat(side, 2, axis=1)
    size = np.maximum(np.rint(size), 1)
    return np.concatenate([np.rint(corner), size], axis=1).astype(np.int32)


def to_unit(points: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in pixels to the unit square of their windows (N, 4); outside it they pass 0 and 1."""
    windows = np.asarray(windows, np.float64)[:, None]
    return (points - windows[..., :2] + 0.5) / windows[..., 2:]


def to_pixels(units: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in the unit square of their windows (N, 4) back to pixels of the photograph."""
    windows = np.asarray(windows, np.float64)[:, None]
    return units * windows[..., 2:] + windows[..., :2] - 0.5
