"""A face and its landmarks, as every part of the project passes them on."""

from dataclasses import dataclass

import numpy as np

from kp_tf.core.keypoints import IBUG68, Scheme


@dataclass(frozen=True)
class Face:
    """A face and its landmarks, in pixels of the photograph as stored.

    Attributes:
        box: (4,) left, top, width, height: the box that was passed in or detected.
        points: (K, 2) x and y; (0, 0) is the centre of the top left pixel. NaN where a point is missing.
        confidence: (K,) in [0, 1]: the probability that the point's error is below 3 % of the crop's side,
            which is about 7 % of the inter-ocular distance. NaN if the network has no heatmaps.
        scheme: names, groups and flip partners of the points.
        number: in a clip, from 1, the same face in all frames; None in a photograph.
    """

    box: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    scheme: Scheme
    number: int | None = None

    @property
    def five(self) -> np.ndarray:
        """(5, 2): centres of the eyes, tip of the nose, corners of the mouth, from left to right in the photograph.

        Computed from the 68 points: the means of 36–41 and of 42–47, then points 30, 48 and 54.

        Raises:
            ValueError: if the face does not have the 68 points.
        """
        if self.scheme != IBUG68:
            raise ValueError(f"five needs the 68 points of 300-W. Received: scheme={self.scheme.name}")
        eyes = [self.points[36:42].mean(axis=0), self.points[42:48].mean(axis=0)]
        return np.array([*eyes, *self.points[[30, 48, 54]]])
