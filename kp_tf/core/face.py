"""A face and its landmarks, as every part of the project passes them on."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from kp_tf.core.chip import cut_chip
from kp_tf.core.images import Picture
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.core.measures import eye_aspect_ratios, mouth_aspect_ratio
from kp_tf.core.orientation import Orientation
from kp_tf.core.pose import HeadPose, head_pose


@dataclass(frozen=True, repr=False)
class Face:
    """A face and its landmarks, in pixels of the photograph as stored.

    Attributes:
        box: (4,) left, top, width, height: the box that was passed in or detected.
        points: (K, 2) x and y; (0, 0) is the centre of the top left pixel. NaN where a point is missing.
        confidence: (K,) in [0, 1]: the probability that the point's error is below 3 % of the crop's side,
            which is about 7 % of the inter-ocular distance. NaN if the network has no heatmaps or is not
            calibrated.
        scheme: names, groups and flip partners of the points.
        number: in a clip, from 1, the same face in all frames; None in a photograph.
        orientation: how the photograph is stored; None: upright.
    """

    box: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    scheme: Scheme
    number: int | None = None
    orientation: Orientation | None = None

    def __repr__(self) -> str:
        number = "" if self.number is None else f" {self.number}"
        box = ", ".join(f"{value:.0f}" for value in self.box)
        confidence = "" if np.isnan(self.confidence).all() else f", confidence {np.nanmean(self.confidence):.2f}"
        return f"<Face{number}: {len(self.points)} points, box ({box}){confidence}>"

    @property
    def upright(self) -> "Face":
        """The same face in pixels of the upright photograph."""
        if self.orientation is None:
            return self
        box = self.orientation.boxes_to_upright(self.box[None])[0]
        return replace(self, box=box, points=self.orientation.to_upright(self.points), orientation=None)

    @property
    def five(self) -> np.ndarray:
        """(5, 2): centres of the eyes, tip of the nose, corners of the mouth, left to right when upright.

        Computed from the 68 points: the means of 36–41 and of 42–47, then points 30, 48 and 54.

        Raises:
            ValueError: if the face does not have the 68 points.
        """
        points = self._checked_68("five")
        eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
        return np.array([*eyes, *points[[30, 48, 54]]])

    @property
    def pose(self) -> HeadPose:
        """Yaw, pitch and roll in degrees in the upright picture, see `core.pose.head_pose`.

        Raises:
            ValueError: if the face does not have the 68 points.
        """
        self._checked_68("pose")
        return head_pose(self.upright.points)

    @property
    def eye_aspect_ratio(self) -> np.ndarray:
        """(2,): how far the left and the right eye of the upright picture are open, see `measures.eye_aspect_ratios`.

        Raises:
            ValueError: if the face does not have the 68 points.
        """
        return eye_aspect_ratios(self._checked_68("eye_aspect_ratio"))

    @property
    def mouth_aspect_ratio(self) -> float:
        """How far the mouth is open, see `measures.mouth_aspect_ratio`.

        Raises:
            ValueError: if the face does not have the 68 points.
        """
        return mouth_aspect_ratio(self._checked_68("mouth_aspect_ratio"))

    def chip(self, image: Picture, size: int = 256, padding: float = 0.25) -> Image.Image:
        """Cut the face out of its photograph: moved, scaled and rotated so that the eyes are level.

        Without padding the square reaches from the brows to the chin, and the eyes' centres lie on both sides of its
        middle at a quarter of its height; with the default padding, at a third. The pixels are antialiased.

        Args:
            image: the photograph, as it was passed to `Predictor.predict`.
            size: side of the result in pixels.
            padding: added on each side, in sides of the square.

        Returns:
            An RGB picture of size × size, black where it leaves the photograph.

        Raises:
            KpError: if the photograph cannot be read.
            ValueError: if the face does not have the 68 points, an eye or the mouth is missing, or the size or the
                padding cannot be used.
        """
        self._checked_68("chip")
        return cut_chip(image, self.upright.five, size, padding)

    def _checked_68(self, name: str) -> np.ndarray:
        if self.scheme != IBUG68:
            raise ValueError(f"{name} needs the 68 points of 300-W. Received: scheme={self.scheme.name}")
        return self.points
