"""Which detections are faces: those with sharp heatmaps, all the more if their points look like the mean face.

Where there is no face, the network draws one that looks straight ahead, with wide heatmaps. Real faces with heatmaps as
wide are turned away or make a face, and the detector agrees on their angle. So the limit follows from the shape.
"""

import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.geometry import distinct, with_angles
from kp_tf.core.keypoints import IBUG68
from kp_tf.core.mean_face import MeanFace
from kp_tf.predict.confidence import are_doubtful, mean_deviation

# The logarithm of the limit in units of `max_deviation`: a constant, by the distance from the mean shape, and by the
# angle between the points and the detector in right angles; `python -m benchmarks.detection_limit` fits them.
SHAPE_LIMIT = (-0.25, 1.05, -0.16)
MOST_UNLIKE = 0.5  # distance from the mean shape: faces have less


def shape_limit(info: ModelInfo) -> tuple[float, float, float] | None:
    """The numbers by which the limit follows from the shape; None if the network does not predict the 68 points."""
    return SHAPE_LIMIT if info.scheme == IBUG68 and info.mean_face and info.max_deviation else None


def are_faces(info: ModelInfo, boxes: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Which detections are probably faces, each once.

    Args:
        info: of the network.
        boxes: (N, 4) or, with the angles that the detector tells, (N, 5), in pixels; NaN if it does not tell it.
        outputs: (N, K, 3) for these boxes, see `run_cascade`.

    Returns:
        (N,) bool.
    """
    kept = ~are_doubtful(outputs[..., 2], info.calibration, _largest_deviation(info, boxes, outputs[..., :2]))
    chosen = outputs[kept]
    kept[kept] = distinct(chosen[..., :2], boxes[kept, 2:4].max(axis=1), mean_deviation(chosen[..., 2]))
    return kept


def _largest_deviation(info: ModelInfo, boxes: np.ndarray, points: np.ndarray) -> np.ndarray | float | None:
    """The limit (N,) of each detection's `mean_deviation`, or that of all."""
    numbers, mean_face, largest = shape_limit(info), info.mean_face, info.max_deviation
    if not (numbers and mean_face and largest):
        return largest
    constant, of_distance, of_angle = numbers
    distance, apart = unlikeness(mean_face, boxes, points)
    return largest * np.exp(constant + of_distance * distance + of_angle * apart)


def unlikeness(mean_face: MeanFace, boxes: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How little N detections are like the mean face, and like what the detector tells.

    Args:
        mean_face: of the network.
        boxes: (N, 4 or 5), see `are_faces`.
        points: (N, K, 2) in pixels.

    Returns:
        The distances (N,) from the mean shape, see `MeanFace.compared_with`, up to MOST_UNLIKE, and the angles (N,)
        between the points and the detector in right angles, up to 1; 0 where the detector does not tell it.
    """
    distance, angles = mean_face.compared_with(points)
    apart = np.nan_to_num(np.abs((angles - with_angles(boxes)[:, 4] + 180) % 360 - 180))
    return np.minimum(distance, MOST_UNLIKE), np.minimum(apart / 90, 1)
