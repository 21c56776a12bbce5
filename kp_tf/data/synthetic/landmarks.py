"""The landmarks of IMM and 300-W on the drawn head."""

import numpy as np

from kp_tf.data.synthetic.head import Head, Pose

# heights on the mean head of the points of the jaw, from the topmost to the chin
_IMM_JAW = (34, 63, 92, 119, 139, 154, 158)
_IBUG_JAW = (-53, -17, 20, 55, 88, 117, 141, 154, 158)


def imm58(head: Head, pose: Pose) -> np.ndarray:
    """IMM's 58 points (58, 2) in pixels."""
    eyes = [_eye(head, side, (0.5, 0, -0.5)) for side in (1, -1)]
    brows = [head.brow(side, np.arange(5)) for side in (1, -1)]
    mouth = [head.lip([-1, -0.28, 0, 0.28, 1], 0), head.lip([0.38, 0, -0.38], 3)]
    wing = [(-15, -53), (-19, -16), (-32, -2), (-33, 17), (-18, 22)]
    nose = head.nose([*wing, (0, 26), *((-x, y) for x, y in reversed(wing))])
    return _project(head, pose, _IMM_JAW, [*eyes, *brows, *mouth, nose])


def ibug68(head: Head, pose: Pose) -> np.ndarray:
    """300-W's 68 points (68, 2) in pixels."""
    along = np.array([0.25, 1.05, 1.9, 3.05, 3.8])
    brows = [head.brow(-1, along[::-1]), head.brow(1, along)]
    nose = head.nose([(0, -58), (0, -36), (0, -14), (0, 8), (-25, 21), (-12.5, 25), (0, 28), (12.5, 25), (25, 21)])
    left, right = (_eye(head, side, (1 / 3, -1 / 3)) for side in (-1, 1))
    right = right[[3, 2, 1, 0, 5, 4]]  # starts at its inner corner
    outer = [head.lip([-1, -0.6, -0.25, 0, 0.25, 0.6, 1], 0), head.lip([0.63, 0.3, 0, -0.3, -0.63], 3)]
    inner = [head.lip([-0.85, -0.26, 0, 0.26, 0.85], 1), head.lip([0.26, 0, -0.26], 2)]
    return _project(head, pose, _IBUG_JAW, [*brows, nose, left, right, *outer, *inner])


def _eye(head: Head, side: int, q: tuple[float, ...]) -> np.ndarray:
    """The outer corner, the upper lid at q, the inner corner, and the lower lid on the way back."""
    outer, inner = head.eyelid(side, [1, -1], 1)
    return np.stack([outer, *head.eyelid(side, q, 1), inner, *head.eyelid(side, q[::-1], -1)])


def _project(head: Head, pose: Pose, jaw: tuple[int, ...], flat: list[np.ndarray]) -> np.ndarray:
    """The jaw from left to right, with the chin once, and the points at flat coordinates, in pixels."""
    left, right = (_jaw(head, pose, jaw, side) for side in (-1, 1))
    return np.concatenate([left, right[-2::-1], pose.project(head.lift(np.concatenate(flat)))[:, :2]])


def _jaw(head: Head, pose: Pose, heights: tuple[int, ...], side: int) -> np.ndarray:
    """One side of the jaw (n, 2) in pixels, where annotators mark it: at the edge of the head in the picture.

    On the far side of a turned head that is the outline of the cheek, on the near side the jaw itself.
    """
    y = np.repeat(head.stretch(np.array(heights, np.float64))[:, None], 91, axis=1)
    points = pose.project(head.surface(y, np.broadcast_to(np.linspace(40, 90, 91) * side, y.shape)))[..., :2]
    roll = np.radians(pose.roll)
    outermost = (side * (points @ (np.cos(roll), np.sin(roll)))).argmax(axis=1)
    return points[np.arange(len(y)), outermost]
