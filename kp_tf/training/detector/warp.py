"""Similarity transforms of pictures and of the boxes in them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from kp_tf.training.detector.targets import Boxes


@dataclass(frozen=True)
class Similarity:
    """Scaling, turning, mirroring and moving, from the pixels of a picture to those of a canvas.

    Attributes:
        scale: canvas pixels in a picture's pixel.
        angle: in degrees, clockwise; after mirroring.
        mirror: whether left and right are exchanged first.
        start: (2,) a place in the picture, counted from its upper left corner.
        end: (2,) where it is on the canvas.
    """

    scale: float
    angle: float
    mirror: bool
    start: np.ndarray
    end: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """(2, 2) from differences in the picture to those on the canvas."""
        turn = np.radians(self.angle)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return self.scale * rotation @ np.diag([-1.0 if self.mirror else 1.0, 1.0])

    def points(self, places: np.ndarray) -> np.ndarray:
        """Places (N, 2) in the picture to places on the canvas."""
        return (places - self.start) @ self.matrix.T + self.end

    def boxes(self, boxes: Boxes) -> Boxes:
        """Boxes of the picture to boxes of the canvas."""
        faces, ignored = boxes.faces.copy(), boxes.ignored.copy()
        for each in (faces, ignored):
            each[:, :2] = self.points(each[:, :2])
            each[:, 2] *= self.scale
        turned = self.angle + (-faces[:, 3] if self.mirror else faces[:, 3])
        faces[:, 3] = (turned + 180) % 360 - 180
        return Boxes(faces, ignored)

    def warp(self, picture: Image.Image, size: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> Image.Image:
        """The part of the canvas of this (width, height) from a corner on; 0 where the picture ends.

        The picture is reduced first where it would alias.
        """
        factor = max(1, round(1 / self.scale - 0.2))
        small = picture.reduce(factor) if factor > 1 else picture
        inverse = np.linalg.inv(self.matrix) / factor
        offset = self.start / factor + inverse @ (np.array(corner) - self.end)
        coefficients = (*inverse[0], offset[0], *inverse[1], offset[1])
        return small.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
