"""What the JSON of runs, packed and exported files may hold: a type for each entry, and a range for each number.

Files may come from other people or be damaged, so an entry is checked before anything is built from it.
"""

import reprlib
import types
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from kp_tf.core.choices import KEEP, PRECISIONS
from kp_tf.core.errors import KpError
from kp_tf.recipes import NETWORKS, Recipe

Content = TypeVar("Content")

# the least and the greatest value of each number, by the name of its entry
RANGES: dict[str, tuple[float, float]] = {
    **{"format": (1, 2), "seed": (0, 2**63 - 1)},
    **{"epochs": (1, 1e6), "batch_size": (1, 1e6), "learning_rate": (1e-12, 1), "warmup_epochs": (0, 1e6)},
    **{"weight_decay": (0, 1), "cooldown_fraction": (0, 1), "averaging": (0, 0.99999)},
    **{"shape": (8, 2048), "stored_shape": (8, 2048), "crop_scale": (0.1, 20), "stored_scale": (0.1, 20)},
    **{"crop_margin": (0.1, 20), "num_passes": (1, 10)},
    # of the networks
    **{"convs": (1, 4096), "hidden": (1, 1e5), "widths": (1, 4096), "depths": (1, 100)},
    # of the heatmap loss
    **{"w": (1e-3, 1e4), "epsilon": (1e-3, 1e4), "pixels": (1, 1e4), "variance_weight": (0, 1e3)},
    "teacher_weight": (0, 1),
    # of the augmentation
    **dict.fromkeys(("flip", "occlusion", "shadow", "blur", "low_resolution", "noise", "cut", "first_pass"), (0, 1)),
    **dict.fromkeys(("scale", "shift", "stretch", "shear", "gamma", "contrast", "brightness"), (0, 10)),
    **{"rotation": (0, 360), "first_pass_rotation": (0, 180), "first_pass_shift": (0, 10), "flip_offset": (-1, 1)},
    "first_pass_scale": (0, 20),  # of the augmentation and of the window
    # of a mean face, in units of its frame's width
    **{"box": (-1e3, 1e3), "points": (-1e3, 1e3)},
    **{"calibration": (-1e3, 1e3), "usual_deviation": (0, 10), "max_deviation": (0, 10)},  # of metrics
}
CHOICES: dict[str, tuple] = {
    "part": (1, 2, 3),
    "dataset": ("imm", "ibug", "labels"),
    "network": NETWORKS,
    "loss": ("mse", "mae", "heatmap", "wing", "own"),
    "precision": PRECISIONS,
    "keep": KEEP,
}
PATHS = ("data", "labels", "add", "add_val", "val_labels", "scheme_file", "init", "teacher", "training", "validation")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class FaceEntry:
    """A mean face, see `core.mean_face`."""

    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Config:
    """config.json; packed and exported files hold the first five entries of it.

    Attributes:
        recipe: how the network is trained.
        scheme: for `keypoints.parse_scheme`.
        sample: whether the faces are synthetic.
        mean_face, framing: see `info.ModelInfo`.
        format: of the file; 2 since version 0.2.
        seed, deterministic, skip_bad, keep, data, labels, add, add_val, val_labels, scheme_file, allow_outside:
            see `training.config.TrainConfig`.
    """

    recipe: Recipe
    scheme: Any
    sample: bool
    mean_face: FaceEntry | None = None
    framing: FaceEntry | None = None
    format: int = 1
    seed: int = 0
    deterministic: bool = False
    skip_bad: bool = False
    keep: str = "last"
    data: str | None = None
    labels: str | None = None
    add: tuple[str, ...] = ()
    add_val: tuple[str, ...] = ()
    val_labels: str | None = None
    scheme_file: str | None = None
    allow_outside: bool = False


@dataclass(frozen=True)
class Metrics:
    """What of metrics.json is used again; the rest is for people."""

    completed: str | None = None
    calibration: tuple[float, ...] | None = None
    usual_deviation: float | None = None
    max_deviation: float | None = None


@dataclass(frozen=True)
class SplitEntry:
    """split.json."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    digest: str | None = None


@dataclass(frozen=True)
class History:
    """The rows of a checkpoint: losses, metrics and seconds of each epoch."""

    rows: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class CnnSettings:
    """`Recipe.settings` of the network cnn."""

    convs: tuple[tuple[int, int], ...]
    hidden: int


@dataclass(frozen=True)
class HeatmapSettings:
    """`Recipe.settings` of the network heatmap."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]


@dataclass(frozen=True)
class NoSettings:
    """`Recipe.settings` of resnet18 and of a model of the user's, and `Recipe.loss_settings` of the losses of Keras."""


@dataclass(frozen=True)
class WingSettings:
    """`Recipe.loss_settings` of the wing loss."""

    w: float
    epsilon: float
    pixels: float


@dataclass(frozen=True)
class LossSettings(WingSettings):
    """`Recipe.loss_settings` of the heatmap loss."""

    variance_weight: float
    teacher_weight: float = 0.0


def parse(kind: type[Content], content: object, file: object, entry: str = "") -> Content:
    """Check JSON and make a dataclass of it.

    Args:
        kind: the dataclass.
        content: what the file holds.
        file: the file, for messages.
        entry: the dotted name of the content in the file; "" for the whole file, whose other entries are ignored.

    Raises:
        KpError: naming the file and the entry that is missing, of another type, out of its range or unknown.
    """
    if not isinstance(content, dict):
        raise unusable(file, entry, "an object", content)
    prefix, hints = f"{entry}." if entry else "", _hints(kind)
    if entry and (unknown := sorted(content.keys() - hints.keys())):
        raise KpError(f"{file}, {prefix}{unknown[0]:.40}: there is no such entry")
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in content:
            values[field.name] = _value(hints[field.name], content[field.name], file, prefix + field.name, field.name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise KpError(f"{file}, {prefix}{field.name}: the entry is missing")
    return kind(**values)


def unusable(file: object, entry: str, expected: str, found: object) -> KpError:
    """The error for an entry that cannot be used."""
    where = f"{file}, {entry}" if entry else str(file)
    return KpError(f"{where}: expected {expected}, found {_shown(found)}")


_hints = cache(get_type_hints)  # of the few dataclasses above


def _value(kind: Any, content: Any, file: object, entry: str, name: str) -> Any:
    """The content as the kind of an annotation; `name` is that of the entry in RANGES and CHOICES."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if content is None else _value(inner[0], content, file, entry, name)
    if is_dataclass(kind):
        return parse(kind, content, file, entry)  # type: ignore[arg-type]
    if origin is tuple:
        is_list, is_open = isinstance(content, list | tuple), inner[-1] is ...
        if not is_list or (not is_open and len(content) != len(inner)):
            raise unusable(file, entry, "a list" if is_open else f"a list of {len(inner)}", content)
        kinds = inner[:1] * len(content) if is_open else inner
        return tuple(_value(*pair, file, entry, name) for pair in zip(kinds, content, strict=True))
    if origin is dict:
        if not isinstance(content, dict):
            raise unusable(file, entry, "an object", content)
        return {key: _value(inner[1], value, file, f"{entry}.{key:.40}", key) for key, value in content.items()}
    return content if kind is Any else _scalar(kind, content, file, entry, name)


def _scalar(kind: type, content: Any, file: object, entry: str, name: str) -> Any:
    if isinstance(content, bool) != (kind is bool) or not isinstance(content, (int, float) if kind is float else kind):
        raise unusable(file, entry, _KINDS[kind], content)
    if kind is not float and (choices := CHOICES.get(name)) and content not in choices:
        raise unusable(file, entry, f"one of {', '.join(map(str, choices))}", content)
    if kind is str and ("\0" in content if name in PATHS else not content.isprintable()):
        raise unusable(file, entry, "a path" if name in PATHS else "text that can be printed", content)
    if kind in (int, float) and name in RANGES:
        low, high = RANGES[name]
        if not low <= content <= high:  # also if it is NaN
            raise unusable(file, entry, f"{_KINDS[kind]} from {low:g} to {high:g}", content)
    return content


def _shown(content: object) -> str:
    return "null" if content is None else reprlib.repr(content)
