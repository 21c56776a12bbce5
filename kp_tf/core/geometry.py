"""The coordinate convention: boxes, crop windows, and points in pixels and in the unit square of a crop.

A point is (x, y) in pixels; the centre of the top left pixel is (0, 0), as in dlib's XML. A box is (left, top, width,
height) and covers [left − ½, left + width − ½): it ends at pixel edges. The unit square of a window is
u = (x − left + ½) / width, so that resizing with half-pixel centres keeps u.

A box or window may have a fifth column: the angle by which it is rotated about its centre, in degrees, clockwise in the
picture. Its unit square is rotated with it.
"""

import numpy as np

MAX_EMPTINESS = 50  # a window may be this many times as large as its part inside the photograph
SAME_POINTS = 0.25  # mean distance, in sides of the box, up to which two predictions are of the same face


def crop_windows(boxes: np.ndarray, scale: float | None) -> np.ndarray:
    """Windows to crop; those that are not rotated are of whole pixels.

    Args:
        boxes: (N, 4) left, top, width, height in pixels, or (N, 5) with the angle.
        scale: the side of a square about each box's centre, in units of the box's longer side. None takes the boxes
            as they are.

    Returns:
        (N, 4) int32 or (N, 5) float64, at least one pixel wide and high. A window may reach outside its photograph.
    """
    boxes = np.asarray(boxes, np.float64)
    corner, size = boxes[:, :2], boxes[:, 2:4]
    if scale is not None:
        side = scale * size.max(axis=1, keepdims=True)
        corner, size = corner + (size - side) / 2, np.repeat(side, 2, axis=1)
    if boxes.shape[1] == 5:
        windows = np.concatenate([corner, np.maximum(size, 1), boxes[:, 4:]], axis=1)
        upright = boxes[:, 4] == 0
        windows[upright, :4] = crop_windows(boxes[upright, :4], scale)
        return windows
    size = np.maximum(np.rint(size), 1)
    return np.concatenate([np.rint(corner), size], axis=1).astype(np.int32)


def scale_boxes(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (N, 4 or 5) scaled by a factor about their centres."""
    boxes = np.asarray(boxes, np.float64)
    corner, size = boxes[:, :2], boxes[:, 2:4]
    return np.concatenate([corner - (factor - 1) / 2 * size, factor * size, boxes[:, 4:]], axis=1)


def with_angles(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4 or 5) as (N, 5), with NaN for angles that are not known."""
    result = np.full((len(boxes), 5), np.nan)
    result[:, : np.shape(boxes)[1]] = boxes
    return result


def enclosing_windows(windows: np.ndarray) -> np.ndarray:
    """Squares (N, 4) int32 of whole pixels that hold rotated windows (N, 5), whatever their angle."""
    corner, size = windows[:, :2], windows[:, 2:4]
    side = np.ceil(np.hypot(*size.T))[:, None] + 2  # one pixel more on each side, for interpolation
    corner = np.floor(corner + (size - side) / 2)
    return np.concatenate([corner, side, side], axis=1).astype(np.int32)


def misses_image(windows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whether windows (N, 4 or 5) lie almost or wholly outside their photographs of sizes (N or 1, 2): (N,)."""
    windows = enclosing_windows(windows) if np.shape(windows)[1] == 5 else windows
    windows, sizes = np.asarray(windows, np.float64), np.asarray(sizes, np.float64)
    corner, end = windows[:, :2], windows[:, :2] + windows[:, 2:]
    inside = np.maximum(np.minimum(sizes, end) - np.maximum(corner, 0), 0).prod(axis=1)
    return windows[:, 2:].prod(axis=1) > MAX_EMPTINESS * inside


def to_unit(points: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in pixels to the unit square of their windows (N, 4 or 5); points outside exceed [0, 1]."""
    windows = np.asarray(windows, np.float64)[:, None]
    offset = points - windows[..., :2] + 0.5
    if windows.shape[-1] == 5:
        middle = windows[..., 2:4] / 2
        offset = rotated(offset - middle, -windows[..., 4]) + middle
    return offset / windows[..., 2:4]


def to_pixels(points_norm: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in the unit square of their windows (N, 4 or 5) to pixels of the photograph."""
    windows = np.asarray(windows, np.float64)[:, None]
    offset = points_norm * windows[..., 2:4]
    if windows.shape[-1] == 5:
        middle = windows[..., 2:4] / 2
        offset = rotated(offset - middle, windows[..., 4]) + middle
    return offset + windows[..., :2] - 0.5


def rotated(vectors: np.ndarray, degrees: np.ndarray | float) -> np.ndarray:
    """Vectors (..., 2) rotated clockwise in the picture, by one angle or by angles (...)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def boxes_around_points(points: np.ndarray) -> np.ndarray:
    """The smallest boxes (N, 4) that hold the points (N, K, 2) that are present, at least one pixel wide and high."""
    low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    return np.concatenate([low, np.maximum(high - low, 1)], axis=1)


def overlaps(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) of boxes (N, 4) with one box (4,); angles in a fifth column are ignored."""
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:4], box[:2] + box[2:4])
    shared = np.maximum(high - low, 0).prod(axis=1)
    return shared / (boxes[:, 2:4].prod(axis=1) + box[2:4].prod() - shared)


def nesting(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Of boxes (N, 4) and one box (4,) the part (N,) of the smaller one that lies in the other."""
    area, other = boxes[:, 2:4].prod(axis=1), box[2:4].prod()
    shared = overlaps(boxes, box)
    return shared / (1 + shared) * (area + other) / np.minimum(area, other)


def clusters(boxes: np.ndarray, scores: np.ndarray, largest: float, nested: float = np.inf) -> list[np.ndarray]:
    """Detections (N, 4) of the same faces: for each face their indices, the one with the best score first.

    Args:
        boxes: (N, 4).
        scores: (N,).
        largest: intersection over union with a better box from which a box is of the same face.
        nested: so is one from this `nesting` on.
    """
    order, found = np.argsort(-scores, kind="stable"), []
    while len(order):
        best = boxes[order[0]]
        same = (overlaps(boxes[order], best) >= largest) | (nesting(boxes[order], best) >= nested)
        same[0] = True
        found.append(order[same])
        order = order[~same]
    return found


def distinct(points: np.ndarray, sides: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Which of N predictions are of faces of their own, from different boxes that may show the same face.

    Args:
        points: (N, K, 2) in pixels.
        sides: (N,) of the boxes in pixels.
        spread: (N,) of two that are the same, the one with the smaller value is kept; NaN if unknown.

    Returns:
        (N,) bool.
    """
    kept: list[int] = []
    for k in np.argsort(spread, kind="stable"):
        apart = np.linalg.norm(points[kept] - points[k], axis=-1).mean(axis=-1)
        if (apart > SAME_POINTS * sides[kept]).all():
            kept.append(int(k))
    return np.isin(np.arange(len(points)), kept)


def median_scale_to_cover(points: np.ndarray, boxes: np.ndarray) -> float:
    """The scale at which half of the windows of boxes (N, 4) hold all points (N, K, 2) of their face."""
    boxes = np.asarray(boxes, np.float64)
    reach = np.abs(points - (boxes[:, :2] + boxes[:, 2:] / 2 - 0.5)[:, None])
    return float(np.median(2 * np.nanmax(reach, axis=(1, 2)) / boxes[:, 2:].max(axis=1)))
