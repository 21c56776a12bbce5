"""A drawn head: its surface, the landmarks on it, and their projection into a picture.

Lengths of the head are in units of which IMM's mean frontal face has 100 as its rms size: x to the right of
the picture, y down, z towards the camera. Everything that is painted and every landmark is a place (x, y) on one
surface and goes through one projection, so the points are exact.
"""

from dataclasses import dataclass

import numpy as np

# Height, half width, and depth of the side, the front and the back of the head, from its top to the chin. The
# last seven rows, from 34, are IMM's jaw points; the numbers come from the mean shapes of IMM's frontal and
# turned photographs.
_ROWS = np.array(
    [
        (-228, 0, -140, -140, -140),
        (-222, 45, -140, -85, -195),
        (-200, 85, -140, -40, -245),
        (-165, 111, -140, -3, -285),
        (-130, 122, -140, 16, -300),
        (-90, 127, -140, 25, -300),
        (-55, 128, -140, 24, -300),
        (-17, 127, -140, 25, -290),
        (20, 123, -138, 28, -270),
        (34, 121, -137, 30, -240),
        (63, 114, -112, 33, -170),
        (92, 102, -77, 34, -110),
        (119, 84, -37, 32, -60),
        (139, 59, -6, 30, -25),
        (154, 31, 19, 28, 10),
        (158, 0, 27, 27, 27),
    ],
    np.float64,
)
_IMM_JAW = (34, 63, 92, 119, 139, 154, 158)
_IBUG_JAW = (-53, -17, 20, 55, 88, 117, 141, 154, 158)
EYE_Y, MOUTH_Y = -57.0, 66.0
PIVOT = np.array([0.0, 60.0, -130.0])  # the head turns about the top of the neck
DISTANCE = 1800.0  # of the camera

# Hills and hollows on the ellipsoid: x, y, their widths, height. Those off the middle are on both sides.
_RELIEF = (
    (0, -40, 9, 16, 9),  # the nose, from its root
    (0, -17, 10, 15, 19),
    (0, 9, 13, 12, 42),  # its tip
    (23, 14, 9, 9, 20),  # its wings
    (57, -58, 27, 13, -5),  # the eyes
    (57, -90, 40, 11, 9),
    (28, -60, 9, 14, -9),
    (72, 0, 22, 20, 7),  # the cheeks
    (0, 68, 32, 18, 16),  # the mouth
    (0, 100, 30, 8, -7),  # the chin
    (0, 132, 30, 16, 10),
    (45, 45, 10, 22, -4),  # the fold from nose to mouth
)


@dataclass(frozen=True)
class Face:
    """One person's face and what it does, in units of the head; the defaults are IMM's mean."""

    width: float = 1.0
    jaw: float = 0.0  # by which part the jaw is wider than the mean's
    length: float = 1.0  # of the face below the ears
    eye_x: float = 57.5
    eye_width: float = 27.0  # half
    eye_height: float = 1.0
    slant: float = 0.0  # how much higher an eye's outer corner is
    gaze: float = 0.0  # of the irises, to the right
    open: tuple[float, float] = (1.0, 1.0)  # eyes, left and right in the picture
    brow: float = 0.0  # upwards
    frown: float = 0.0  # downwards, of the inner ends
    brow_width: float = 11.0
    nose: float = 0.0  # downwards
    nose_width: float = 1.0
    nose_height: float = 1.0
    mouth: float = 0.0  # downwards
    mouth_width: float = 47.0  # half
    lips: float = 1.0
    smile: float = 0.0
    gap: float = 0.0  # between the lips
    drop: float = 0.0  # of the jaw
    skew: float = 0.0  # of the mouth, to the right


@dataclass(frozen=True)
class Pose:
    """Where the head is: angles in degrees (positive: to the right of the picture, up, clockwise) and pixels."""

    yaw: float
    pitch: float
    roll: float
    scale: float  # pixels of a unit
    x: float  # of the point between eyes and mouth, before the head turns
    y: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the head to x, y in pixels and the depth in units, positive towards the camera."""
        turned = self.turned(points - PIVOT) + PIVOT
        near = self.scale * DISTANCE / (DISTANCE - turned[..., 2:])
        return np.concatenate([turned[..., :2] * near + (self.x, self.y), turned[..., 2:]], axis=-1)

    def turned(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (..., 3) of the head, turned with it."""
        yaw, pitch, roll = np.radians((self.yaw, self.pitch, self.roll))
        cos, sin = np.cos, np.sin
        turn = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
        tilt = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
        return vectors @ (tilt @ nod @ turn).T


class Head:
    """The surface of a face's head."""

    def __init__(self, face: Face) -> None:
        self.face = face
        at = np.linspace(0, len(_ROWS) - 1, 12 * (len(_ROWS) - 1) + 1)
        rows = _catmull_rom(_ROWS, at)
        y = rows[:, 0].copy()
        rows[:, 0] = self.stretched(y)
        rows[:, 1] *= face.width * (1 + face.jaw * smooth_step(y, 0, 110) + 0.04 * face.smile * _bump(y, 60, 40))
        self.rows = rows
        self.relief = self._relief()

    def stretched(self, y: np.ndarray) -> np.ndarray:
        """Heights of the mean face below the ears, moved to this face's length and open jaw."""
        below = np.maximum(np.asarray(y, np.float64) - 34, 0)
        return y + below * (self.face.length - 1 + self.face.drop / 124)

    def _relief(self) -> np.ndarray:
        """The hills of this face, one a row: x, y, widths, height."""
        face = self.face
        hills = np.array(_RELIEF, np.float64)
        nose, eyes, cheeks, mouth, chin, fold = slice(0, 4), slice(4, 7), 7, 8, slice(9, 11), 11
        hills[nose, 1] += face.nose * np.array([0, 1, 1, 1])
        hills[nose, 2] *= face.nose_width
        hills[nose, 0] *= face.nose_width
        hills[nose, 4] *= face.nose_height
        hills[eyes, 0] += face.eye_x - Face.eye_x
        hills[cheeks, 4] += 9 * face.smile
        hills[mouth, 1] += face.mouth + 0.4 * face.drop
        hills[chin, 1] = self.stretched(hills[chin, 1])
        hills[fold, 4] -= 5 * face.smile
        other = hills[hills[:, 0] > 0] * (-1, 1, 1, 1, 1)
        return np.concatenate([hills, other])

    def surface(self, y: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Points (..., 3) at heights y and angles in degrees about the head: 0 in front, ±180 behind."""
        half, side, front, back = (np.interp(y, self.rows[:, 0], column) for column in self.rows.T[1:])
        sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        x = half * sine
        z = side + (front - side) * np.maximum(1 - np.abs(sine) ** 2.5, 0) ** 0.4
        z = np.where(cosine >= 0, z, side - (side - back) * np.abs(cosine))
        dx, dy = (x[..., None] - self.relief[:, 0]), (y[..., None] - self.relief[:, 1])
        hills = np.exp(-0.5 * ((dx / self.relief[:, 2]) ** 2 + (dy / self.relief[:, 3]) ** 2))
        ahead = np.maximum(cosine, 0) ** 0.5 * np.minimum(half / 40, 1)  # the chin's tip is one point
        return np.stack([x, y, z + ahead * (hills @ self.relief[:, 4])], axis=-1)

    def lift(self, places: np.ndarray) -> np.ndarray:
        """Places (..., 2) of the face as seen from the front to points (..., 3) of the surface."""
        x, y = np.moveaxis(np.asarray(places, np.float64), -1, 0)
        half = np.maximum(np.interp(y, self.rows[:, 0], self.rows[:, 1]), 1e-6)
        return self.surface(y, np.degrees(np.arcsin(np.clip(x / half, -1, 1))))

    def eye(self, side: int, q: np.ndarray, lid: int) -> np.ndarray:
        """Places (..., 2) on an eye's edge; q from -1, the inner corner, to 1; lid 1 is the upper, -1 the lower."""
        face, q = self.face, np.asarray(q, np.float64)
        opened = face.open[side > 0]
        height = 13.5 * opened - 4.5 * (1 - min(opened, 1)) if lid > 0 else 5.0 + 1.5 * min(opened, 1)
        y = EYE_Y - face.slant * q - lid * height * face.eye_height * (1 - q**2)
        return np.stack([side * (face.eye_x + face.eye_width * q), y], axis=-1)

    def eye_outline(self, side: int, q: np.ndarray) -> np.ndarray:
        """An eye's outer corner, its upper lid at q, its inner corner, and its lower lid on the way back."""
        corners = self.eye(side, [1, -1], 1)
        return np.concatenate([corners[:1], self.eye(side, q, 1), corners[1:], self.eye(side, q[::-1], -1)])

    def brow(self, side: int, q: np.ndarray) -> np.ndarray:
        """Places (..., 2) on a brow's upper edge; q from 0, the inner end, to 4, the outer: IMM's five points."""
        face = self.face
        points = np.array([(26, -85), (44, -98), (74, -101), (91, -94), (104, -76)], np.float64)
        points[:, 1] += face.frown * np.array([1, 0.7, 0.1, 0, 0]) - face.brow
        points[:, 0] = side * (points[:, 0] * (0.5 + 0.5 * face.width) + face.eye_x - Face.eye_x)
        return _catmull_rom(points, np.asarray(q, np.float64))

    def nose(self, places: list[tuple[float, float]]) -> np.ndarray:
        """Places on the mean nose, moved to this face's."""
        x, y = np.array(places, np.float64).T
        low = smooth_step(y, -53, 5)
        return np.stack([x * (1 + low * (self.face.nose_width - 1)), y + low * self.face.nose], axis=-1)

    def lip(self, q: np.ndarray, edge: int) -> np.ndarray:
        """Places (..., 2) on a lip's edge, q from -1 to 1.

        Args:
            q: from the left corner of the mouth to the right one.
            edge: 0 and 1, the upper lip's outer and inner; 2 and 3, the lower lip's inner and outer.
        """
        face, q = self.face, np.asarray(q, np.float64)
        bow = 1 - q**2
        gap = (face.gap + 0.8 * face.drop) * np.maximum(bow, 0) ** 0.7
        y = MOUTH_Y + face.mouth - 8 * face.smile + 0.3 * face.drop + (5 * face.smile - 2) * bow
        y = y + (-0.25 if edge < 2 else 0.75) * gap
        thick = face.lips * (1 - 0.25 * face.smile)
        if edge == 0:
            y = y - thick * (11 * bow - 4.5 * np.exp(-((q / 0.15) ** 2)))
        elif edge == 3:
            y = y + thick * 19 * (1 - np.abs(q) ** 2.6)
        half = face.mouth_width * (1 + 0.2 * face.smile) * (1 - 0.15 * face.drop / 40)
        return np.stack([half * q + face.skew, y - 0.15 * face.skew * q], axis=-1)

    def jaw(self, pose: Pose, heights: tuple[float, ...], side: int) -> np.ndarray:
        """Projected jaw (n, 3) at heights of the mean face: the head's edge as seen, as annotators mark it.

        On the far side of a turned head that is the outline of the cheek, on the near side the jaw itself.
        """
        y = np.repeat(self.stretched(np.array(heights))[:, None], 91, axis=1)
        seen = pose.project(self.surface(y, np.broadcast_to(np.linspace(40, 90, 91) * side, y.shape)))
        roll = np.radians(pose.roll)
        best = (side * (seen[..., 0] * np.cos(roll) + seen[..., 1] * np.sin(roll))).argmax(axis=1)
        return seen[np.arange(len(y)), best]

    def imm58(self, pose: Pose) -> np.ndarray:
        """IMM's 58 points (58, 2) in pixels."""
        right, left = (self.eye_outline(side, np.array([0.5, 0.0, -0.5])) for side in (1, -1))
        brows = [self.brow(side, np.arange(5)) for side in (1, -1)]
        mouth = [self.lip([-1, -0.28, 0, 0.28, 1], 0), self.lip([0.38, 0, -0.38], 3)]
        wing = [(-15, -53), (-19, -16), (-32, -2), (-33, 17), (-18, 22)]
        nose = self.nose([*wing, (0, 26), *((-x, y) for x, y in reversed(wing))])
        places = np.concatenate([right, left, *brows, *mouth, nose])
        jaw = [self.jaw(pose, _IMM_JAW, -1), self.jaw(pose, _IMM_JAW[-2::-1], 1)]
        return np.concatenate([*jaw, pose.project(self.lift(places))])[:, :2]

    def ibug68(self, pose: Pose) -> np.ndarray:
        """300-W's 68 points (68, 2) in pixels."""
        along = np.array([0.25, 1.05, 1.9, 3.05, 3.8])
        right, left = (self.eye_outline(side, np.array([1 / 3, -1 / 3])) for side in (1, -1))
        order = [3, 2, 1, 0, 5, 4]  # of the right eye, so that it starts at the inner corner
        base = [(-25, 21), (-12.5, 25), (0, 28), (12.5, 25), (25, 21)]
        inner = np.array([-0.85, -0.26, 0, 0.26, 0.85])
        places = np.concatenate(
            [
                self.brow(-1, along[::-1]),
                self.brow(1, along),
                self.nose([(0, -58), (0, -36), (0, -14), (0, 8), *base]),
                left,
                right[order],
                self.lip([-1, -0.6, -0.25, 0, 0.25, 0.6, 1], 0),
                self.lip([0.63, 0.3, 0, -0.3, -0.63], 3),
                self.lip(inner, 1),
                self.lip(inner[-2:0:-1], 2),
            ]
        )
        jaw = [self.jaw(pose, _IBUG_JAW, -1), self.jaw(pose, _IBUG_JAW[-2::-1], 1)]
        return np.concatenate([*jaw, pose.project(self.lift(places))])[:, :2]


def _catmull_rom(knots: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A smooth curve through knots (n, d) at positions (m,) from 0 to n - 1: (m, d)."""
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    first = np.clip(np.floor(at).astype(int), 0, len(knots) - 2)
    t = (at - first)[:, None]
    a, b, c, d = (padded[first + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def smooth_step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smoothly from 0 at low to 1 at high."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _bump(x: np.ndarray, middle: float, width: float) -> np.ndarray:
    return np.exp(-(((x - middle) / width) ** 2))
