"""The description of a trained network, as run directories, packed weights and exported files store it."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import Scheme, describe, parse_scheme
from kp_tf.core.mean_face import MeanFace
from kp_tf.recipes import NETWORKS, Augmentation, Recipe

# the names of these settings before version 0.2
_OLD_SETTINGS = {"looks": "num_passes", "wide": "first_pass_scale", "calm": "cooldown_fraction"}
_OLD_LOSS_SETTINGS = {"spread": "variance_weight", "teacher": "teacher_weight"}
# the smallest and the largest value that a training may write for a setting
_RANGES = {
    "crop_scale": (0.1, 20),
    "stored_scale": (0.1, 20),
    "first_pass_scale": (0.1, 20),
    "num_passes": (1, 10),
    "epochs": (1, 1e6),
    "batch_size": (1, 1e6),
    "learning_rate": (0, 1),
}


@dataclass(frozen=True)
class ModelInfo:
    """A trained network without its weights.

    Attributes:
        path: the run directory or file.
        recipe: how it was trained: its network, input and passes.
        scheme: what its points are.
        is_sample: whether it was trained on synthetic faces.
        mean_face: relative to the boxes of faces, for passes after the first; None if there is one pass.
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
    def calibration(self) -> tuple[float, float] | None:
        """The two numbers of `confidence.calibrate`; None if the network is not calibrated."""
        calibration = self.metrics.get("calibration")
        return calibration and tuple(calibration)

    @classmethod
    def from_json(cls, path: Path, config: dict, metrics: dict) -> "ModelInfo":
        """Read what `to_json`, or a version before 0.2, wrote.

        Args:
            path: where it was read from.
            config: the settings.
            metrics: what the validation showed.

        Raises:
            KpError: if a setting is missing or of the wrong type.
        """
        try:
            config = upgraded(config)
            info = cls(
                path=path,
                recipe=recipe_from_json(config["recipe"]),
                scheme=parse_scheme(config["scheme"], str(path)),
                is_sample=bool(config["sample"]),
                mean_face=MeanFace.from_json(config.get("mean_face")),
                framing=MeanFace.from_json(config.get("framing")),
                metrics=dict(metrics),
            )
            check_recipe(info.recipe)
            _check_faces(info)
            return info
        except KeyError as error:
            raise KpError(f"{path}: the setting {error} is missing") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise KpError(f"{path}: a setting cannot be used: {error}") from None

    def to_json(self) -> dict:
        """The settings as an object for JSON."""
        faces = {"mean_face": self.mean_face, "framing": self.framing}
        return {
            "recipe": asdict(self.recipe),
            "scheme": describe(self.scheme),
            "sample": self.is_sample,
            **{name: face.to_json() for name, face in faces.items() if face},
        }


def recipe_from_json(content: dict) -> Recipe:
    """A recipe from its fields. Raises TypeError if one is missing or unknown."""
    shapes = {name: tuple(content[name]) for name in ("shape", "stored_shape") if content.get(name)}
    return Recipe(**{**content, **shapes, "augmentation": Augmentation(**content["augmentation"])})


def check_recipe(recipe: Recipe) -> None:
    """Refuse settings that no training writes. Raises ValueError naming the setting."""
    sides = [*recipe.shape, *(recipe.stored_shape or ())]
    if len(sides) not in (2, 4) or not all(isinstance(side, int) and 8 <= side <= 2048 for side in sides):
        raise ValueError(f"shape is {recipe.shape}, stored_shape {recipe.stored_shape}")
    for name, (low, high) in _RANGES.items():
        value = getattr(recipe, name)
        if value is not None and not (isinstance(value, int | float) and low <= value <= high):
            raise ValueError(f"{name} is {value!r}, not a number from {low:g} to {high:g}")
    if recipe.network not in NETWORKS:
        raise ValueError(f"network is {recipe.network!r}, not one of {', '.join(NETWORKS)}")


def _check_faces(info: ModelInfo) -> None:
    for face in (info.mean_face, info.framing):
        if face and (face.box.shape != (4,) or face.points.shape != (len(info.scheme), 2)):
            raise ValueError(f"a mean face has a box of {face.box.shape} and points of {face.points.shape}")
        if face and not (np.isfinite(face.box).all() and np.isfinite(face.points).all() and face.box[2:].min() > 0):
            raise ValueError("a mean face has no finite size")
    calibration = info.metrics.get("calibration")
    if calibration is not None and not (len(calibration) == 2 and np.isfinite(calibration).all()):
        raise ValueError(f"calibration is {calibration}")


def upgraded(config: dict) -> dict:
    """Settings in today's layout: versions before 0.2 wrote the recipe's fields beside the others."""
    if isinstance(config["recipe"], dict):
        return config
    names = {field.name for field in fields(Recipe)}
    settings = {_OLD_SETTINGS.get(name, name): value for name, value in config.items()}
    recipe = {name: value for name, value in settings.items() if name in names} | {"name": config["recipe"]}
    losses = recipe.get("loss_settings", {})
    recipe["loss_settings"] = {_OLD_LOSS_SETTINGS.get(name, name): value for name, value in losses.items()}
    recipe["augmentation"] = recipe.get("augmentation", {})
    recipe["scheme"] = None  # the run's own says it
    if recipe.get("crop_scale") == 1.0:
        recipe["crop_scale"] = None  # the box itself
    rest = {name: value for name, value in config.items() if _OLD_SETTINGS.get(name, name) not in names}
    return rest | {"recipe": recipe, "scheme": config["scheme"], "mean_face": config.get("face")}
