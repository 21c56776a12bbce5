"""EXIF's orientation: from pixels as stored to pixels of the upright picture, and back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

# by EXIF's orientation: whether x and y are exchanged, whether x then counts from the right and y from the bottom, and
# what Pillow calls it
TURNS = {
    1: (False, False, False, None),
    2: (False, True, False, Image.Transpose.FLIP_LEFT_RIGHT),
    3: (False, True, True, Image.Transpose.ROTATE_180),
    4: (False, False, True, Image.Transpose.FLIP_TOP_BOTTOM),
    5: (True, False, False, Image.Transpose.TRANSPOSE),
    6: (True, True, False, Image.Transpose.ROTATE_270),
    7: (True, True, True, Image.Transpose.TRANSVERSE),
    8: (True, False, True, Image.Transpose.ROTATE_90),
}


@dataclass(frozen=True)
class Orientation:
    """The conversion from pixels as stored to those of the upright picture, and back.

    Attributes:
        size: width and height of the upright picture.
        tag: EXIF's orientation, 1 to 8; 1 changes nothing.
    """

    size: tuple[int, int]
    tag: int = 1

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the picture as stored."""
        width, height = self.size
        return (height, width) if TURNS[self.tag][0] else (width, height)

    def to_upright(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in pixels as stored to pixels of the upright picture."""
        if self.tag == 1:
            return points
        exchange, from_right, from_bottom, _ = TURNS[self.tag]
        turned = points[..., ::-1] if exchange else points
        return np.where((from_right, from_bottom), np.array(self.size) - 1 - turned, turned)

    def to_stored(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in pixels of the upright picture to pixels as stored."""
        if self.tag == 1:
            return points
        exchange, from_right, from_bottom, _ = TURNS[self.tag]
        turned = np.where((from_right, from_bottom), np.array(self.size) - 1 - points, points)
        return turned[..., ::-1] if exchange else turned

    def boxes_to_upright(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) of left, top, width, height, as `to_upright`."""
        return _turn_boxes(self.to_upright, boxes)

    def boxes_to_stored(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) of left, top, width, height, as `to_stored`."""
        return _turn_boxes(self.to_stored, boxes)


def _turn_boxes(turn: Callable[[np.ndarray], np.ndarray], boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float64)
    corners = np.stack([boxes[:, :2] - 0.5, boxes[:, :2] + boxes[:, 2:] - 0.5], axis=1)  # pixel edges
    corners = np.sort(turn(corners), axis=1)
    return np.concatenate([corners[:, 0] + 0.5, corners[:, 1] - corners[:, 0]], axis=1)
