"""The one coordinate convention: boxes, crop windows, and pixels to the unit square of a crop and back.

A point is (x, y) in pixels of the photograph as stored; the centre of its top left pixel is (0, 0), as in
dlib's XML. A box is (left, top, width, height) and covers [left − ½, left + width − ½): pixel edges. The unit
square of a window is u = (x − left + ½) / width, so that a resize with half-pixel centres keeps u.
"""

from dataclasses import dataclass

import numpy as np

EMPTIEST = 50  # a window may be this many times the part of it that lies inside the photograph


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


def scaled(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (N, 4) `factor` times as large about the same centres."""
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([boxes[:, :2] - (factor - 1) / 2 * boxes[:, 2:], factor * boxes[:, 2:]], axis=1)


def empty(windows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) where a window (N, 4) nearly misses its photograph of width and height (N or 1, 2)."""
    windows, sizes = np.asarray(windows, np.float64), np.asarray(sizes, np.float64)
    corner, end = windows[:, :2], windows[:, :2] + windows[:, 2:]
    inside = np.maximum(np.minimum(sizes, end) - np.maximum(corner, 0), 0).prod(axis=1)
    return windows[:, 2:].prod(axis=1) > EMPTIEST * inside


def to_unit(points: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in pixels to the unit square of their windows (N, 4); outside it they pass 0 and 1."""
    windows = np.asarray(windows, np.float64)[:, None]
    return (points - windows[..., :2] + 0.5) / windows[..., 2:]


def to_pixels(units: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) in the unit square of their windows (N, 4) back to pixels of the photograph."""
    windows = np.asarray(windows, np.float64)[:, None]
    return units * windows[..., 2:] + windows[..., :2] - 0.5


def bounding_boxes(points: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) around the points (N, K, 2) that are there, as a marker would draw them."""
    low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    return np.concatenate([low, np.maximum(high - low, 1)], axis=1)


def overlaps(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) of boxes (N, 4) with one (4,)."""
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], box[:2] + box[2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    return shared / (boxes[:, 2:].prod(axis=1) + box[2:].prod() - shared)


def half_needed(points: np.ndarray, boxes: np.ndarray) -> float:
    """The scale of `crop_windows` at which half of the windows (N, 4) hold all points (N, K, 2) of their face."""
    boxes = np.asarray(boxes, np.float64)
    reach = np.abs(points - (boxes[:, :2] + boxes[:, 2:] / 2 - 0.5)[:, None])
    return float(np.median(2 * np.nanmax(reach, axis=(1, 2)) / boxes[:, 2:].max(axis=1)))


@dataclass(frozen=True)
class Framing:
    """Where faces are in photographs that are framed alike, learned from the boxes and points of some.

    Attributes:
        box: (4,) left, top, width, height of the mean face, in widths of the photograph from its corner.
        points: (K, 2) of the mean face, likewise.
    """

    box: np.ndarray
    points: np.ndarray

    @classmethod
    def of(cls, photographs: np.ndarray, boxes: np.ndarray, points: np.ndarray) -> "Framing":
        """From N photographs' own boxes (N, 4), their faces' boxes (N, 4) and points (N, K, 2), all in pixels."""
        width = photographs[:, 2:3]
        box = np.concatenate([boxes[:, :2] - photographs[:, :2], boxes[:, 2:]], axis=1) / width
        places = (points - photographs[:, None, :2] + 0.5) / width[..., None]
        return cls(box.mean(axis=0), np.nanmean(places, axis=0))

    def first(self, photographs: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) in pixels for photographs (N, 4) of which nothing is known yet: the mean face's."""
        return np.concatenate([photographs[:, :2], np.zeros((len(photographs), 2))], 1) + (
            self.box * photographs[:, 2:3]
        )

    def around(self, points: np.ndarray, photographs: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) in pixels around points (N, K, 2) just found: the mean face's, moved and scaled onto them.

        A single point tells no size; and no face becomes half or twice as large as the mean.
        """
        width, centre = photographs[:, 2], self.points.mean(axis=0)
        shape, middle = self.points - centre, points.mean(axis=1, keepdims=True)
        spread = (shape**2).sum()
        fit = ((points - middle) * shape).sum(axis=(1, 2)) / spread if spread else width
        scale = np.clip(fit, width / 2, width * 2)[:, None]
        corner = middle[:, 0] + 0.5 + scale * (self.box[:2] - centre)
        return np.concatenate([corner, scale * self.box[2:]], axis=1)
