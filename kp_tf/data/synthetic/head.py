"""The drawn head: its surface, the curves of its features, and its projection into a picture.

The head's axes are x to the right of the picture, y down and z towards the camera. Lengths are in head units, of
which IMM's mean face has 100 as its RMS size. A point on the front of the head is named by its flat coordinates
(x, y), those of the frontal view; `Head.lift` adds z. Painting and landmarks project the same curves, so the
landmarks are exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# the mean head from its top to the chin, measured on the mean shapes of IMM's frontal and turned photographs
_ROWS = np.array(
    [
        (-228, -222, -200, -165, -130, -55, 20, 34, 63, 92, 119, 139, 154, 158),  # height
        (0, 45, 85, 111, 122, 128, 123, 121, 114, 102, 84, 59, 31, 0),  # half width
        (-140, -140, -140, -140, -140, -140, -138, -137, -112, -77, -37, -6, 19, 27),  # depth of the side
        (-140, -85, -40, -3, 16, 24, 28, 30, 33, 34, 32, 30, 28, 27),  # depth of the front
        (-140, -195, -245, -285, -300, -300, -270, -240, -170, -110, -60, -25, 10, 27),  # depth of the back
    ],
    np.float64,
).T
EAR_Y, EYE_Y, MOUTH_Y = 34.0, -57.0, 66.0
PIVOT = np.array([0.0, 60.0, -130.0])  # the head turns about the top of the neck
_DISTANCE = 1800.0  # of the camera

# Bumps and hollows of the mean face: x, y, their two widths, height. Those with x > 0 are on both sides.
_RELIEF = np.array(
    [
        (0, -40, 9, 16, 9),  # the nose, from its root
        (0, -17, 10, 15, 19),
        (0, 9, 13, 12, 42),  # its tip
        (23, 14, 9, 9, 20),  # its wings
        (57, -58, 27, 13, -5),  # the eyes
        (57, -90, 40, 11, 9),
        (28, -60, 9, 14, -9),
        (72, 0, 22, 20, 7),  # the cheeks
        (0, 68, 32, 18, 16),  # the mouth
        (0, 132, 30, 16, 10),  # the chin
    ],
    np.float64,
)
_NOSE, _EYES, _CHEEKS, _MOUTH, _CHIN = slice(0, 4), slice(4, 7), 7, 8, 9


@dataclass(frozen=True)
class Face:
    """One person's face and its expression; the defaults are IMM's mean. Lengths are in head units."""

    width: float = 1.0  # of the head, relative to the mean
    jaw: float = 0.0  # how much wider the jaw is, relative to the mean
    length: float = 1.0  # of the face below the ears, relative to the mean
    eye_x: float = 57.5
    eye_width: float = 27.0  # half
    gaze: float = 0.0  # of the irises, to the right
    eyelids: tuple[float, float] = (1.0, 1.0)  # left and right in the picture: 0 closed, 1 open
    brow: float = 0.0  # upwards
    nose: float = 0.0  # downwards
    nose_width: float = 1.0
    mouth: float = 0.0  # downwards
    mouth_width: float = 47.0  # half
    lips: float = 1.0  # their thickness
    smile: float = 0.0
    gap: float = 0.0  # between the lips
    drop: float = 0.0  # of the jaw


@dataclass(frozen=True)
class Pose:
    """Where the head is: angles in degrees (positive: to the right of the picture, up, clockwise) and pixels."""

    yaw: float
    pitch: float
    roll: float
    scale: float  # pixels of a head unit
    x: float  # of the head's origin, between eyes and mouth, before the head turns
    y: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (..., 3) of the head to x and y in pixels and the depth, larger when nearer."""
        turned = self.rotate(points - PIVOT) + PIVOT
        scale = self.scale * _DISTANCE / (_DISTANCE - turned[..., 2:])
        return np.concatenate([turned[..., :2] * scale + (self.x, self.y), turned[..., 2:]], axis=-1)

    def rotate(self, vectors: np.ndarray) -> np.ndarray:
        """Turn vectors (..., 3) with the head."""
        yaw, pitch, roll = np.radians((self.yaw, self.pitch, self.roll))
        cos, sin = np.cos, np.sin
        turn = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
        tilt = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
        return vectors @ (tilt @ nod @ turn).T


class Head:
    """The surface of the head with a given face, and the curves of the features on it."""

    def __init__(self, face: Face) -> None:
        self.face = face
        rows = _catmull_rom(_ROWS, np.linspace(0, len(_ROWS) - 1, 12 * (len(_ROWS) - 1) + 1))
        rows[:, 1] *= face.width * (1 + face.jaw * smooth_step(rows[:, 0], 0, 110))
        rows[:, 0] = self.stretch(rows[:, 0])
        self.rows = rows  # (R, 5), as _ROWS
        self.relief = self._relief()  # (B, 5), as _RELIEF on both sides

    def stretch(self, y: np.ndarray) -> np.ndarray:
        """Move heights on the mean head to this one's, whose length and open jaw show below the ears."""
        return y + np.maximum(y - EAR_Y, 0) * (self.face.length - 1 + self.face.drop / 124)

    def _relief(self) -> np.ndarray:
        face, relief = self.face, _RELIEF.copy()
        relief[_NOSE, 1] += face.nose
        relief[_NOSE, [0, 2]] *= face.nose_width
        relief[_EYES, 0] += face.eye_x - Face.eye_x
        relief[_CHEEKS, 4] += 9 * face.smile
        relief[_MOUTH, 1] += face.mouth + 0.4 * face.drop
        relief[_CHIN, 1] = self.stretch(relief[_CHIN, 1])
        return np.concatenate([relief, relief[relief[:, 0] > 0] * (-1, 1, 1, 1, 1)])

    def surface(self, y: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the surface at heights y and angles in degrees about the head: 0 front, ±180 back."""
        half, side, front, back = (np.interp(y, self.rows[:, 0], column) for column in self.rows.T[1:])
        sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        x = half * sine
        z = side + (front - side) * np.maximum(1 - np.abs(sine) ** 2.5, 0) ** 0.4
        z = np.where(cosine >= 0, z, side - (side - back) * np.abs(cosine))
        dx, dy = (x[..., None] - self.relief[:, 0]), (y[..., None] - self.relief[:, 1])
        bumps = np.exp(-0.5 * ((dx / self.relief[:, 2]) ** 2 + (dy / self.relief[:, 3]) ** 2)) @ self.relief[:, 4]
        in_front = np.maximum(cosine, 0) ** 0.5 * np.minimum(half / 40, 1)  # the chin's tip stays one point
        return np.stack([x, y, z + in_front * bumps], axis=-1)

    def lift(self, flat: ArrayLike) -> np.ndarray:
        """Points (..., 3) of the surface at flat coordinates (..., 2)."""
        x, y = np.moveaxis(np.asarray(flat, np.float64), -1, 0)
        half = np.maximum(np.interp(y, self.rows[:, 0], self.rows[:, 1]), 1e-6)
        return self.surface(y, np.degrees(np.arcsin(np.clip(x / half, -1, 1))))

    def eyelid(self, side: int, q: ArrayLike, lid: int) -> np.ndarray:
        """Flat coordinates (..., 2) of the edge of the upper (lid 1) or lower (-1) eyelid.

        `side` is -1 for the eye on the left of the picture, else 1; q runs from -1, the inner corner, to 1.
        """
        face, q = self.face, np.asarray(q, np.float64)
        opened = face.eyelids[side > 0]
        height = 13.5 * opened - 4.5 * (1 - min(opened, 1)) if lid > 0 else 5.0 + 1.5 * min(opened, 1)
        return np.stack([side * (face.eye_x + face.eye_width * q), EYE_Y - lid * height * (1 - q**2)], axis=-1)

    def brow(self, side: int, q: ArrayLike) -> np.ndarray:
        """Flat coordinates (..., 2) of a brow's upper edge; q from 0, the inner end, to 4 counts IMM's points."""
        face = self.face
        knots = np.array([(26, -85), (44, -98), (74, -101), (91, -94), (104, -76)], np.float64)
        knots[:, 1] -= face.brow
        knots[:, 0] = side * (knots[:, 0] * (0.5 + 0.5 * face.width) + face.eye_x - Face.eye_x)
        return _catmull_rom(knots, np.asarray(q, np.float64))

    def nose(self, flat: ArrayLike) -> np.ndarray:
        """Move flat coordinates (..., 2) on the mean nose to this one's."""
        x, y = np.moveaxis(np.asarray(flat, np.float64), -1, 0)
        low = smooth_step(y, -53, 5)
        return np.stack([x * (1 + low * (self.face.nose_width - 1)), y + low * self.face.nose], axis=-1)

    def lip(self, q: ArrayLike, edge: int) -> np.ndarray:
        """Flat coordinates (..., 2) of an edge of the lips; q runs from -1, the left corner of the mouth, to 1.

        Edges 0 and 1 are the upper lip's outer and inner one, 2 and 3 the lower lip's inner and outer one.
        """
        face, q = self.face, np.asarray(q, np.float64)
        bow = 1 - q**2
        gap = (face.gap + 0.8 * face.drop) * np.maximum(bow, 0) ** 0.7
        y = MOUTH_Y + face.mouth - 8 * face.smile + 0.3 * face.drop + (5 * face.smile - 2) * bow
        y = y + (-0.25 if edge < 2 else 0.75) * gap
        thickness = face.lips * (1 - 0.25 * face.smile)
        if edge == 0:
            y = y - thickness * (11 * bow - 4.5 * np.exp(-((q / 0.15) ** 2)))
        elif edge == 3:
            y = y + thickness * 19 * (1 - np.abs(q) ** 2.6)
        return np.stack([face.mouth_width * (1 + 0.2 * face.smile - face.drop / 270) * q, y], axis=-1)


def _catmull_rom(knots: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points (m, d) at positions (m,) from 0 to n - 1 on a smooth curve through knots (n, d)."""
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    first = np.clip(np.floor(at).astype(int), 0, len(knots) - 2)
    t = (at - first)[:, None]
    a, b, c, d = (padded[first + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def smooth_step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Rise smoothly from 0 at low to 1 at high."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
