"""The settings of a run, of a packed or of an exported file, checked before anything is built from them."""

from dataclasses import fields
from pathlib import Path

from kp_tf.artifacts.schema import (
    CnnSettings,
    Config,
    FaceEntry,
    HeatmapSettings,
    LossSettings,
    NoSettings,
    WingSettings,
    parse,
    unusable,
)
from kp_tf.core.keypoints import Scheme, parse_scheme
from kp_tf.recipes import Recipe

MAX_WEIGHTS = 100_000_000  # of a network; the largest recipe has 11 million
MAX_VALUES = 50_000_000  # of a layer, for one picture; the largest recipe has 0.8 million

# the names of these settings before version 0.2
_OLD_SETTINGS = {"looks": "num_passes", "wide": "first_pass_scale", "calm": "cooldown_fraction"}
_OLD_LOSS_SETTINGS = {"spread": "variance_weight", "teacher": "teacher_weight"}
_SETTINGS = {"cnn": CnnSettings, "resnet18": NoSettings, "heatmap": HeatmapSettings, "own": NoSettings}
_LOSS_SETTINGS = {"heatmap": LossSettings, "wing": WingSettings}


def parse_config(content: dict, file: Path) -> tuple[Config, Scheme]:
    """The settings of a run, of a packed or of an exported file, as this or a version before 0.2 wrote them.

    Returns:
        The settings, and what their entry `scheme` says.

    Raises:
        KpError: naming the file and the entry that is missing or cannot be used.
    """
    config = parse(Config, upgraded(content), file)
    recipe, scheme = config.recipe, parse_scheme(config.scheme, f"{file}, scheme")
    parse(_SETTINGS[recipe.network], recipe.settings, file, "recipe.settings")
    parse(_LOSS_SETTINGS.get(recipe.loss, NoSettings), recipe.loss_settings, file, "recipe.loss_settings")
    if (recipe.part is None) != (recipe.dataset == "labels"):
        raise unusable(file, "recipe.part", f"that of the data set {recipe.dataset}", recipe.part)
    if recipe.loss == "heatmap" and not recipe.has_heatmaps:
        raise unusable(file, "recipe.loss", f"mse or mae for the network {recipe.network}", recipe.loss)
    if recipe.loss in ("wing", "own") and recipe.network != "own":
        raise unusable(file, "recipe.loss", f"a loss of a recipe for the network {recipe.network}", recipe.loss)
    if recipe.init and recipe.network == "own":
        raise unusable(file, "recipe.init", "null for the network own", recipe.init)
    if recipe.teacher and recipe.loss != "heatmap":
        raise unusable(file, "recipe.teacher", f"null for the loss {recipe.loss}", recipe.teacher)
    if recipe.has_heatmaps:
        _check_stages(recipe, file)
    _check_size(recipe, len(scheme), file)
    for name, face in (("mean_face", config.mean_face), ("framing", config.framing)):
        _check_face(face, len(scheme), file, name)
    return config, scheme


def _check_stages(recipe: Recipe, file: Path) -> None:
    """Refuse settings of the heatmap network that do not fit together, see `models.heatmap`."""
    widths, depths = recipe.settings["widths"], recipe.settings["depths"]
    if not 2 <= len(widths) <= 8 or len(depths) != len(widths):
        raise unusable(file, "recipe.settings", "2 to 8 widths and as many depths", recipe.settings)
    stride = 2 ** (len(widths) + 1)
    if any(side % stride for side in recipe.shape):
        raise unusable(file, "recipe.shape", f"multiples of {stride}", recipe.shape)


def _check_size(recipe: Recipe, num_points: int, file: Path) -> None:
    """Refuse a network that is far larger than any recipe's, or whose stages leave nothing of the picture."""
    if recipe.network == "own":  # its file says how large it is
        return
    weights, values = _SIZES[recipe.network](recipe, num_points)
    if values == 0:
        raise unusable(file, "recipe.settings", f"stages that fit a picture of {recipe.shape}", recipe.settings)
    if weights > MAX_WEIGHTS or values > MAX_VALUES:
        most = f"a network of at most {MAX_WEIGHTS:,} weights and {MAX_VALUES:,} values in a layer"
        raise unusable(file, "recipe.settings", most, recipe.settings)


def _cnn_size(recipe: Recipe, num_points: int) -> tuple[int, int]:
    """About how many weights `models.cnn` has, and the values of its largest layer; 0 if a stage has no pixels."""
    weights, channels, (height, width), layers = 0, 1, recipe.shape, []
    for filters, kernel in recipe.settings["convs"]:
        weights, channels = weights + kernel**2 * channels * filters, filters
        height, width = height - kernel + 1, width - kernel + 1
        layers.append(max(height, 0) * max(width, 0) * channels)
        height, width = height // 2, width // 2
        if min(height, width) < 1:
            return weights, 0
    weights += (height * width * channels + 2 * num_points) * recipe.settings["hidden"]
    return weights, max(layers, default=0)


def _heatmap_size(recipe: Recipe, num_points: int) -> tuple[int, int]:
    """The same for `models.heatmap`."""
    widths, pixels = recipe.settings["widths"], recipe.shape[0] * recipe.shape[1]
    weights = sum(18 * depth * width**2 for width, depth in zip(widths, recipe.settings["depths"], strict=True))
    values = [pixels * width // 4 ** (stage + 2) for stage, width in enumerate(widths)]
    return weights + 4 * num_points * widths[1], max(*values, pixels * num_points // 16)


def _resnet18_size(recipe: Recipe, num_points: int) -> tuple[int, int]:
    """The same for `models.resnet18`."""
    return 11_000_000 + 1024 * num_points, 16 * recipe.shape[0] * recipe.shape[1]


_SIZES = {"cnn": _cnn_size, "resnet18": _resnet18_size, "heatmap": _heatmap_size}


def _check_face(face: FaceEntry | None, num_points: int, file: Path, entry: str) -> None:
    """Refuse a mean face of another number of points, or without an extent."""
    if face and len(face.points) != num_points:
        raise unusable(file, f"{entry}.points", f"a list of {num_points}", face.points)
    if face and min(face.box[2:]) < 1e-3:
        raise unusable(file, f"{entry}.box", "a width and height of at least 0.001", face.box)


def upgraded(config: dict) -> dict:
    """Settings in today's layout: versions before 0.2 wrote the recipe's fields beside the others."""
    if not isinstance(config, dict) or not isinstance(config.get("recipe"), str):
        return config
    names = {field.name for field in fields(Recipe)}
    settings = {_OLD_SETTINGS.get(name, name): value for name, value in config.items()}
    recipe = {name: value for name, value in settings.items() if name in names} | {"name": config["recipe"]}
    if isinstance(losses := recipe.get("loss_settings"), dict):
        recipe["loss_settings"] = {_OLD_LOSS_SETTINGS.get(name, name): value for name, value in losses.items()}
    recipe["augmentation"] = recipe.get("augmentation", {})
    recipe["scheme"] = None  # the run's own says it
    if recipe.get("crop_scale") == 1.0:
        recipe["crop_scale"] = None  # the box itself
    rest = {name: value for name, value in config.items() if _OLD_SETTINGS.get(name, name) not in names}
    scheme = {"scheme": config["scheme"]} if "scheme" in config else {}
    return rest | scheme | {"recipe": recipe, "mean_face": config.get("face")}
