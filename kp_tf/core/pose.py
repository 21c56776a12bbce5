"""The pose of a head, from the points of its eyes and nose."""

from typing import NamedTuple

import numpy as np

POINTS = range(27, 48)  # of the 68: nose and eyes, which move least with the expression
# their mean shape: x to the right, y down and z towards the camera, in distances of the outer eye corners; estimated
# from the landmarks of 300-W by `python -m benchmarks.mean_shape_3d`
SHAPE = np.array(
    [
        (0.000, -0.174, 0.084), (0.000, -0.036, 0.146), (0.000, 0.100, 0.216), (0.000, 0.241, 0.284),
        (-0.163, 0.331, 0.076), (-0.085, 0.359, 0.110), (0.000, 0.384, 0.130), (0.085, 0.359, 0.110),
        (0.163, 0.331, 0.076), (-0.500, -0.158, -0.143), (-0.412, -0.207, -0.100), (-0.305, -0.206, -0.085),
        (-0.215, -0.138, -0.089), (-0.313, -0.119, -0.091), (-0.419, -0.120, -0.107), (0.215, -0.138, -0.089),
        (0.305, -0.206, -0.085), (0.412, -0.207, -0.100), (0.500, -0.158, -0.143), (0.419, -0.120, -0.107),
        (0.313, -0.119, -0.091),
    ]
)  # fmt: skip


class HeadPose(NamedTuple):
    """Angles in degrees. NaN where a point of the eyes or the nose is missing.

    The head turns by its yaw first, then by its pitch and its roll, about the axes of the picture.

    Attributes:
        yaw: positive if the face looks to the right of the picture, which is the person's left.
        pitch: positive if it looks up; 0 is the median of the faces of 300-W.
        roll: positive if it is tilted clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


def head_pose(points: np.ndarray) -> HeadPose:
    """The pose of a head by least squares of a rigid mean shape under a scaled orthographic camera.

    A face near the camera has perspective that this camera ignores; a face in the corner of a wide-angle photograph
    therefore seems turned.

    Args:
        points: (68, 2) in pixels of the upright picture.
    """
    (rotation,), _ = fit_head(points[None, POINTS], SHAPE)
    yaw, pitch = np.arctan2(-rotation[2, 0], rotation[2, 2]), np.arcsin(np.clip(rotation[2, 1], -1, 1))
    roll = np.arctan2(-rotation[0, 1], rotation[1, 1])
    return HeadPose(*(float(angle) for angle in np.degrees([yaw, pitch, roll])))


def fit_head(points: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rotations (N, 3, 3) and scales (N,) that bring a shape (K, 3) onto points (N, K, 2).

    The affine camera by least squares, then the nearest scaled orthographic one. NaN where a point is missing.
    """
    shape, points = shape - shape.mean(axis=0), points - points.mean(axis=1, keepdims=True)
    cameras = np.swapaxes(points, 1, 2) @ np.linalg.pinv(shape).T
    is_complete = ~np.isnan(cameras).any(axis=(1, 2))
    rotations, scales = np.full((len(points), 3, 3), np.nan), np.full(len(points), np.nan)
    u, s, v = np.linalg.svd(cameras[is_complete], full_matrices=False)
    axes = u @ v
    third = np.cross(axes[:, 0], axes[:, 1])
    rotations[is_complete], scales[is_complete] = np.concatenate([axes, third[:, None]], axis=1), s.mean(axis=1)
    return rotations, scales
