"""The settings of a training: a recipe, the options that override it, and a data set."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from kp_tf.artifacts.config import parse_config
from kp_tf.artifacts.find import find_model
from kp_tf.artifacts.runs import is_complete, runs_of
from kp_tf.artifacts.schema import unusable
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.keypoints import IBUG68, IMM58, NOSE, SCHEMES, Scheme
from kp_tf.data.datasets import DataFolder, Dataset, IbugDataset, ImmDataset, OwnLabels, find_data
from kp_tf.recipes import MAX_SHRINK, Recipe
from kp_tf.training.options import ADDED, FILES, Options, label_of, requested_recipe

FLAGS = ("seed", "deterministic", "skip_bad", "keep", "allow_outside")
_SCHEMES = {"imm": (NOSE, IMM58), "ibug": (IBUG68,)}  # by data set


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a training.

    Attributes:
        recipe: with the user's settings.
        data: the folder that holds the data set's folder, or the labels.
        is_sample: whether the faces are synthetic.
        seed: of weights, order and augmentation.
        deterministic: the same weights to the last bit when repeated on one machine.
        skip_bad: leave out what cannot be used instead of failing.
        keep: one of core.choices.KEEP.
        labels, val_labels, scheme_file, allow_outside: of a user's own points.
        add, add_val: further labels for training and for validation.
        scheme: taken if the labels have its points: that of `init`, or of the run that is resumed.
    """

    recipe: Recipe
    data: Path
    is_sample: bool = False
    seed: int = 0
    deterministic: bool = False
    skip_bad: bool = False
    keep: str = "last"
    labels: Path | None = None
    add: tuple[Path, ...] = ()
    add_val: tuple[Path, ...] = ()
    val_labels: Path | None = None
    scheme_file: Path | None = None
    scheme: Scheme | None = None
    allow_outside: bool = False

    @property
    def dataset(self) -> Dataset:
        """Where the faces are read from."""
        if self.labels:
            return OwnLabels(self.labels, self.val_labels, self.scheme_file, self.scheme, self.allow_outside)
        folder = DataFolder(self.data, self.is_sample).folder(self.recipe.dataset)
        if self.recipe.takes_whole_photographs:
            return ImmDataset(folder, SCHEMES[str(self.recipe.scheme)])
        return IbugDataset(folder)

    @property
    def label(self) -> str:
        """What run directories are called before their number."""
        return label_of(self.recipe.part, self.recipe.name) + ("-sample" if self.is_sample else "")

    @property
    def title(self) -> str:
        """What is trained, and on what, for titles."""
        parts = {1: "Part 1, nose tip", 2: "Part 2, 58 landmarks", 3: "Part 3, 68 landmarks", None: "Own landmarks"}
        sample = ", sample of synthetic faces" if self.is_sample else ""
        return f"{parts[self.recipe.part]}, recipe {self.recipe.name}{sample}"

    def to_json(self) -> dict:
        """What config.json holds in addition to `ModelInfo.to_json`."""
        paths = {name: str(path) for name in FILES if (path := getattr(self, name))}
        flags = {name: getattr(self, name) for name in FLAGS}
        added = {name: [str(path) for path in given] for name in ADDED if (given := getattr(self, name))}
        return {**flags, "data": str(self.data), "sample": self.is_sample, **paths, **added}

    @classmethod
    def from_json(cls, path: Path, content: dict) -> "TrainConfig":
        """Read the settings of a run.

        Raises:
            KpError: naming the file and the entry that is missing or cannot be used.
        """
        file = path / "config.json"
        config, scheme = parse_config(content, file)
        is_own = config.recipe.dataset == "labels"
        recipe = replace(config.recipe, scheme=None if is_own else scheme.name)
        if config.data is None:
            raise KpError(f"{file}, data: the entry is missing")
        if is_own != bool(config.labels):
            raise unusable(file, "labels", f"to fit recipe.dataset, {recipe.dataset}", config.labels)
        if not is_own and scheme not in _SCHEMES[recipe.dataset]:
            raise unusable(file, "scheme", f"one of the data set {recipe.dataset}", config.scheme)
        _check_crops(recipe, file)
        return cls(
            recipe=recipe,
            data=Path(config.data),
            is_sample=config.sample,
            seed=config.seed,
            deterministic=config.deterministic,
            skip_bad=config.skip_bad,
            allow_outside=config.allow_outside,
            keep=config.keep,
            add=tuple(map(Path, config.add)),
            add_val=tuple(map(Path, config.add_val)),
            scheme=scheme if is_own and not config.scheme_file else None,
            **{name: Path(value) for name in FILES if (value := getattr(config, name))},
        )


def _check_crops(recipe: Recipe, file: Path) -> None:
    """Refuse stored crops that the network's window would shrink too much."""
    if recipe.stored_shape and (recipe.crop_scale or not recipe.crop_margin):  # otherwise the faces determine both
        extent = (recipe.crop_scale or 1.0) / recipe.stored_scale
        sides = zip(recipe.stored_shape, recipe.shape, strict=True)
        if extent * max(stored / side for stored, side in sides) > MAX_SHRINK:
            raise unusable(file, "recipe.stored_shape", f"about recipe.shape, {recipe.shape}", recipe.stored_shape)


def new_config(options: Options) -> TrainConfig:
    """The settings of a new training.

    Raises:
        KpError: if options contradict each other, or name data or a network that does not exist.
    """
    recipe = requested_recipe(options)
    labels = options.labels
    folder = OwnLabels(labels).root if labels else None
    source = DataFolder(folder, False) if folder else find_data(options.data, recipe.dataset)
    files = {name: path.resolve() for name in FILES if (path := getattr(options, name))}
    scheme = find_model(recipe.init).scheme if labels and recipe.init and not options.scheme_file else None
    return TrainConfig(
        recipe=recipe,
        data=source.root.resolve(),  # absolute, so that a run can be resumed from any folder
        is_sample=source.is_sample,
        seed=options.seed or 0,
        deterministic=bool(options.deterministic),
        skip_bad=bool(options.skip_bad),
        allow_outside=bool(options.allow_outside),
        keep=options.keep or ("best" if labels else "last"),
        **{name: tuple(path.resolve() for path in getattr(options, name) or ()) for name in ADDED},
        scheme=None if scheme is None or scheme.is_plain else scheme,
        **files,
    )


def differences(options: Options, config: TrainConfig) -> list[str]:
    """The options whose values differ from those of a run, each as a message; a run may be trained for more epochs."""
    recipe = config.recipe
    known: dict[str, Any] = {field.name: getattr(recipe, field.name, None) for field in fields(Options)}
    known |= {name: getattr(config, name) for name in (*FILES, *FLAGS)}
    known |= {name: " ".join(map(str, getattr(config, name))) or None for name in ADDED}
    known |= {"recipe": recipe.name, "data": "sample" if config.is_sample else config.data}
    messages = []
    for field in fields(Options):
        value, kept = getattr(options, field.name), known[field.name]
        if field.name in ADDED and value:
            value = " ".join(str(path.resolve()) for path in value)
        if value in (None, False) or str(value) == str(kept) or (field.name, value) == ("precision", "auto"):
            continue
        if field.name == "epochs" and value > kept:
            continue
        if field.name in (*FILES, "data") and kept is not None and Path(value).resolve() == Path(kept).resolve():
            continue
        option = "--" + field.name.removesuffix("_file").replace("_", "-")
        asked = option if value is True else f"{option} {value}"
        before = "without" if kept is None or kept is False else f"with {kept}"
        messages.append(f"{asked}: the run began {before}")
    return messages


def run_to_resume(options: Options, out: Path | None) -> tuple[Path, TrainConfig]:
    """The run that `--resume` continues, and its settings.

    It is `out`; otherwise, of the runs of the part and recipe that have the settings asked for, the newest unfinished
    one, or a finished one if there is no other. If none of them has the number of epochs asked for, it is one with
    fewer; the settings returned have the larger number.

    Raises:
        KpError: if there is none, or `out` has other settings.
    """
    paths = [out] if out else runs_of(options.label)
    if not paths or not (paths[0] / "config.json").is_file():
        raise KpError(f"--resume: there is no run {out or f'runs/{options.label}-…'} (a folder with config.json)")
    runs = [(path, TrainConfig.from_json(path, read_json(path / "config.json"))) for path in paths]
    same = [(path, config) for path, config in runs if not differences(options, config)]
    if not same:
        path, config = runs[0]
        raise KpError(f"{differences(options, config)[0]} ({path}); leave the option out to continue")
    epochs = options.epochs or 0
    path, config = min(same, key=lambda run: (run[1].recipe.epochs < epochs, is_complete(run[0])))  # the first of these
    return path, replace(config, recipe=replace(config.recipe, epochs=max(config.recipe.epochs, epochs)))
