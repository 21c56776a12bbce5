"""The mean face of a training set, which turns points just predicted into the box of the next pass."""

from dataclasses import dataclass

import numpy as np

from kp_tf.core.geometry import rotated


@dataclass(frozen=True)
class MeanFace:
    """A mean box and mean points, relative to frames: whole photographs, or the boxes of the faces themselves.

    Attributes:
        box: (4,) left, top, width, height in units of the frame's width, from the frame's corner.
        points: (K, 2) likewise.
    """

    box: np.ndarray
    points: np.ndarray

    @classmethod
    def from_faces(cls, frames: np.ndarray, boxes: np.ndarray, points: np.ndarray) -> "MeanFace":
        """The mean of N faces from their frames (N, 4), boxes (N, 4) and points (N, K, 2), all in pixels."""
        width = frames[:, 2:3]
        box = np.concatenate([boxes[:, :2] - frames[:, :2], boxes[:, 2:]], axis=1) / width
        places = (points - frames[:, None, :2] + 0.5) / width[..., None]
        return cls(box.mean(axis=0), np.nanmean(places, axis=0))

    def to_json(self) -> dict:
        """Lists of numbers by the names of the attributes."""
        return {"box": self.box.tolist(), "points": self.points.tolist()}

    def boxes_in(self, frames: np.ndarray) -> np.ndarray:
        """The mean face's box in each of the frames (N, 4): (N, 4) in pixels."""
        corners = np.concatenate([frames[:, :2], np.zeros((len(frames), 2))], axis=1)
        return corners + self.box * frames[:, 2:3]

    def points_in(self, frames: np.ndarray) -> np.ndarray:
        """The mean face's points in each of the frames (N, 4): (N, K, 2) in pixels."""
        return frames[:, None, :2] - 0.5 + self.points * frames[:, None, 2:3]

    def boxes_around(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """The mean face's box, moved and scaled by least squares onto points just predicted.

        A single point has no extent; its scale is then 1. The scale stays between half and twice the mean face's.

        Args:
            points: (N, K, 2) in pixels.
            frames: (N, 4), whose width is the unit of scale.

        Returns:
            (N, 4) in pixels.
        """
        width, centre = frames[:, 2], self.points.mean(axis=0)
        shape, middle = self.points - centre, points.mean(axis=1, keepdims=True)
        extent = (shape**2).sum()
        fit = ((points - middle) * shape).sum(axis=(1, 2)) / extent if extent else width
        scale = np.clip(fit, width / 2, width * 2)[:, None]
        corner = middle[:, 0] + 0.5 + scale * (self.box[:2] - centre)
        return np.concatenate([corner, scale * self.box[2:]], axis=1)

    def rotated_boxes_around(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """As `boxes_around`, with the in-plane rotation of each face.

        Args:
            points: (N, K, 2) in pixels; NaN where a point is missing. At least one of each face is present.
            frames: (N, 4), whose width is the unit of scale.

        Returns:
            (N, 5): left, top, width, height in pixels, and the angle in degrees, clockwise in the picture.
        """
        width = frames[:, 2]
        centre, middle, source, target = self._centred(points)
        extent = (np.abs(source) ** 2).sum(axis=1)
        # as complex numbers, a similarity is one factor
        factor = np.where(extent > 0, (target * source.conj()).sum(axis=1) / np.where(extent > 0, extent, 1), width)
        scale, angle = np.clip(np.abs(factor), width / 2, width * 2)[:, None], np.degrees(np.angle(factor))
        size = scale * self.box[2:]
        corner = middle + 0.5 + rotated(scale * (self.box[:2] + self.box[2:] / 2 - centre), angle) - size / 2
        return np.concatenate([corner, size, angle[:, None]], axis=1)

    def compared_with(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far the shapes of N faces are from the mean face's, wherever, however large and at what angle they are.

        Args:
            points: (N, K, 2) in pixels; NaN where a point is missing.

        Returns:
            The full Procrustes distances (N,), from 0 for the same shape to 1 (Dryden and Mardia, Statistical Shape
            Analysis, 1998), and the faces' angles (N,) in degrees, clockwise in the picture.
        """
        _, _, source, target = self._centred(points)
        product = (target * source.conj()).sum(axis=1)
        extents = (np.abs(source) ** 2).sum(axis=1) * (np.abs(target) ** 2).sum(axis=1)
        alike = np.abs(product) ** 2 / np.where(extents > 0, extents, 1)
        return np.sqrt(np.maximum(1 - alike, 0)), np.degrees(np.angle(product))

    def _centred(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The middles (N, 2) of the mean face and of points (N, K, 2), and both as complex numbers (N, K) from there.

        Points that are missing are left out of both.
        """
        present = ~np.isnan(points)
        shape, found = np.where(present, self.points, 0), np.where(present, points, 0)
        centre, middle = (each.sum(axis=1) / present.sum(axis=1) for each in (shape, found))
        source, target = ((a - b[:, None]) * present @ (1, 1j) for a, b in ((shape, centre), (found, middle)))
        return centre, middle, source, target
