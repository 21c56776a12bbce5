"""A network as the page's modules ask it for the camera and clips: tracker.js and predictor.js do everything else."""

import numpy as np
from PIL import Image

from kp_tf.apps.demo.messages import parsing
from kp_tf.apps.demo.project import Project
from kp_tf.apps.demo.proposals import Proposals
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError
from kp_tf.predict.drawing import point_colours
from kp_tf.predict.false_faces import shape_limit


class LiveService:
    """Answers what the page asks while frames are shown."""

    def __init__(self, project: Project, proposals: Proposals) -> None:
        """Answer with the network that proposes the project's points."""
        self._project, self._proposals = project, proposals

    def network(self, content: bytes) -> dict:
        """The network; empty if there is none.

        Returns:
            What the page calls it (network), whether its objects are found by `detect` (detects_faces), and `describe`.

        Raises:
            KpError: if it cannot be used.
        """
        current = self._proposals.current(self._project)
        if not current:
            return {}
        info = current[1].info
        return {"network": current[0], "detects_faces": self._proposals.detects_faces(info), **describe(info)}

    def detect(self, content: bytes, width: str, height: str) -> list[list[float]]:
        """The boxes of the faces in a frame, as `detectors.Detector`, without angles that are NaN, which JSON lacks.

        Args:
            content: its grey pixels, row by row.
            width: of the frame in pixels.
            height: likewise.

        Raises:
            KpError: if the content is no such frame, or the detector cannot be used.
        """
        with parsing():
            grey = np.frombuffer(content, np.uint8).reshape(int(height), int(width))
            if not grey.size:
                raise ValueError("a frame without pixels")
        boxes = self._proposals.detect(Image.fromarray(grey).convert("RGB"))
        return [box[~np.isnan(box)].tolist() for box in boxes]

    def crop(self, content: bytes, network: str) -> bytes:
        """The network's output for a crop, as `run_network`. Raises KpError, also if there is another by now."""
        current = self._proposals.current(self._project)
        if not current or current[0] != network:
            raise KpError(f"network {network} is no longer the newest; begin again")
        return run_network(current[1].info, current[1].network, content)


def describe(info: ModelInfo) -> dict:
    """What the modules have to know of a network; see `Model` in static/predictor.js."""
    recipe, scheme = info.recipe, info.scheme
    return {
        "name": info.name,
        "shape": list(recipe.shape),
        "crop_scale": recipe.crop_scale,
        "num_passes": recipe.num_passes,
        "first_pass_scale": recipe.first_pass_scale,
        "rotated_windows": recipe.rotated_windows,
        "takes_whole_photographs": recipe.takes_whole_photographs,
        "mean_face": info.mean_face and info.mean_face.to_json(),
        "framing": info.framing and info.framing.to_json(),
        "calibration": info.calibration,
        "usual_deviation": info.usual_deviation,
        "max_deviation": info.max_deviation,
        "shape_limit": shape_limit(info),
        "names": scheme.names,
        "groups": {group: list(indices) for group, indices in scheme.groups},
        "colours": point_colours(scheme),
        "mirror": scheme.flip_indices,
    }


def run_network(info: ModelInfo, network: Network, content: bytes) -> bytes:
    """The output of a network for a crop: float32 in, rows of x, y and variance in the crop's unit square out.

    Raises:
        KpError: if the content is no crop of the network's size, with numbers from -0.5 to 0.5.
    """
    if len(content) != 4 * np.prod(info.recipe.shape):
        raise KpError(f"invalid request: {len(content)} bytes are no crop")
    crop = np.frombuffer(content, "<f4").reshape(1, *info.recipe.shape, 1)
    if not (np.abs(crop) <= 0.5).all():  # also if one is NaN
        raise KpError("invalid request: numbers beyond -0.5 to 0.5")
    return np.ascontiguousarray(network(crop), "<f4").tobytes()
