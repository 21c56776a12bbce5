"""The description of a trained network, as run directories, packed weights and exported files store it."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kp_tf.artifacts.config import parse_config
from kp_tf.artifacts.schema import Metrics, parse, unusable
from kp_tf.core.keypoints import Scheme, describe
from kp_tf.core.mean_face import MeanFace
from kp_tf.recipes import Recipe

_OLD_CALIBRATION = [math.log(math.pi / 4 * 0.03**2), -2.0]  # before version 0.2, where nothing was calibrated
FILE_SUFFIXES = (".npz", ".tflite", ".onnx")  # of networks that are not run directories


@dataclass(frozen=True)
class ModelInfo:
    """A trained network without its weights.

    Attributes:
        path: the run directory or file.
        recipe: how it was trained: its network, input and passes.
        scheme: what its points are.
        is_sample: whether it was trained on synthetic faces.
        mean_face: relative to the boxes of faces, for passes after the first and for networks that find things
            themselves; None of other networks.
        framing: the mean face relative to whole photographs, if the network expects those.
        metrics: what its validation showed; empty while the training is not complete.
    """

    path: Path
    recipe: Recipe
    scheme: Scheme
    is_sample: bool = False
    mean_face: MeanFace | None = None
    framing: MeanFace | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the run directory or file, without its suffix."""
        return self.path.stem

    @property
    def calibration(self) -> tuple[float, ...] | None:
        """The numbers of `confidence.calibrate`; None if the network is not calibrated."""
        calibration = self.metrics.get("calibration")
        return calibration and tuple(calibration)

    @property
    def usual_deviation(self) -> float | None:
        """The result of `confidence.usual_deviation`; None if it was not measured."""
        return self.metrics.get("usual_deviation")

    @property
    def max_deviation(self) -> float | None:
        """The result of `confidence.max_deviation`; None if it was not measured."""
        return self.metrics.get("max_deviation")

    @property
    def completed(self) -> str | None:
        """When its training was completed, in ISO's format; None if the file does not say."""
        return self.metrics.get("completed")

    @classmethod
    def from_json(cls, path: Path, config: dict, metrics: dict) -> "ModelInfo":
        """Read what `to_json`, or a version before 0.2, wrote.

        Args:
            path: the run directory or file that it was read from.
            config: the settings.
            metrics: what the validation showed.

        Raises:
            KpError: naming the file and the entry that is missing or cannot be used.
        """
        of_run = path.suffix not in FILE_SUFFIXES
        config_file, metrics_file = (path / "config.json", path / "metrics.json") if of_run else (path, path)
        checked, scheme = parse_config(config, config_file)
        numbers = parse(Metrics, metrics, metrics_file).calibration
        if numbers is not None and len(numbers) not in (2, 3):
            raise unusable(metrics_file, "calibration", "a list of 2 or 3", numbers)
        faces = {"mean_face": checked.mean_face, "framing": checked.framing}
        return cls(
            path=path,
            recipe=checked.recipe,
            scheme=scheme,
            is_sample=checked.sample,
            **{name: face and MeanFace(np.array(face.box), np.array(face.points)) for name, face in faces.items()},
            metrics=dict(metrics) | ({"calibration": None} if metrics.get("calibration") == _OLD_CALIBRATION else {}),
        )

    def to_json(self) -> dict:
        """The settings as an object for JSON."""
        faces = {"mean_face": self.mean_face, "framing": self.framing}
        return {
            "recipe": asdict(self.recipe),
            "scheme": describe(self.scheme),
            "sample": self.is_sample,
            **{name: face.to_json() for name, face in faces.items() if face},
        }
