"""The settings of a training: a recipe, the options that override it, and a data set."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from kp_tf.artifacts.config import parse_config
from kp_tf.artifacts.find import find_model
from kp_tf.artifacts.runs import is_complete, runs_of
from kp_tf.artifacts.schema import unusable
from kp_tf.backends.precision import resolve_precision
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.keypoints import IBUG68, IMM58, NOSE, SCHEMES, Scheme
from kp_tf.data.datasets import DataFolder, Dataset, IbugDataset, ImmDataset, OwnLabels, find_data
from kp_tf.recipes import KEEP, MAX_SHRINK, PRECISIONS, RECIPES, TEACHER_WEIGHT, Recipe

FILES = ("labels", "val_labels", "scheme_file")
FLAGS = ("seed", "deterministic", "skip_bad", "keep", "allow_outside")
_SCHEMES = {"imm": (NOSE, IMM58), "ibug": (IBUG68,)}  # by data set


@dataclass(frozen=True)
class Options:
    """What the user asks for; None where the recipe decides.

    Attributes:
        part: 1 nose, 2 IMM's 58 points, 3 iBUG's 68 points; None with `labels`.
        recipe: its name. Default: `course`, or `strong` with `labels`.
        data: see `data.datasets.find_data`.
        labels: any points, in one of `data.formats`.
        val_labels: the same for validation. Default: a tenth of the photographs.
        scheme_file: JSON for `keypoints.parse_scheme`. Default: the scheme of `init` or the published one that has the
            points of the labels; otherwise all points that they name, without flips.
        init: a run or weights (see `find_model`) to start from: their network, with a new last layer if the points
            differ.
        teacher: a run or weights with the same points, whose points on the training photographs count half.
        epochs: the total, at least 1; a run that is resumed may get more than it began with.
        batch_size: at least 1.
        learning_rate: between 0 and 1.
        precision: see `resolve_precision`. A resumed run ignores `auto` and keeps its precision.
        seed: of weights, order and augmentation, at least 0. Default: 0.
        deterministic: the same weights to the last bit when the command is repeated on this machine.
        skip_bad: leave out entries and photographs that cannot be used instead of failing.
        allow_outside: with `labels`, take photographs outside their folder as well.
        keep: the epoch whose weights are the result: `last`, or `best` for the one with the lowest validation loss.
            Default: `best` with `labels`, otherwise `last`.
    """

    part: int | None = None
    recipe: str | None = None
    data: str | None = None
    labels: Path | None = None
    val_labels: Path | None = None
    scheme_file: Path | None = None
    init: str | None = None
    teacher: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    precision: str | None = None
    seed: int | None = None
    deterministic: bool | None = None
    skip_bad: bool | None = None
    allow_outside: bool | None = None
    keep: str | None = None

    @property
    def recipe_name(self) -> str:
        """The recipe's name, or the default one."""
        return self.recipe or ("strong" if self.labels else "course")

    @property
    def label(self) -> str:
        """The name of a run directory without its number."""
        return label_of(self.part, self.recipe_name)


def values_from_python(**values: Any) -> dict[str, Any]:
    """Arguments as a user passes them in Python, with paths for files and texts for names."""
    kinds = dict.fromkeys((*FILES, "out"), Path) | dict.fromkeys(("data", "init", "teacher"), str)
    return {
        name: kinds[name](value) if name in kinds and value is not None else value for name, value in values.items()
    }


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
        keep: one of recipes.KEEP.
        labels, val_labels, scheme_file, allow_outside: of a user's own points.
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
        return {**flags, "data": str(self.data), "sample": self.is_sample, **paths}

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


def label_of(part: int | None, recipe: str) -> str:
    """What run directories are called before their number."""
    return f"part{part}-{recipe}" if part else f"labels-{recipe}"


def new_config(options: Options) -> TrainConfig:
    """The settings of a new training.

    Raises:
        KpError: if options contradict each other, or name data or a network that does not exist.
    """
    recipe = _requested_recipe(options)
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
        scheme=None if scheme is None or scheme.is_plain else scheme,
        **files,
    )


def _requested_recipe(options: Options) -> Recipe:
    name, part, labels = options.recipe_name, options.part, options.labels
    if (part is None) == (labels is None):
        raise KpError("train needs either --part or --labels" + (", not both" if part else ""))
    if name not in {known for known, _ in RECIPES}:
        raise KpError(f"--recipe {name}: there is no such recipe; choose course, strong or large")
    for option, value, choices in (("--precision", options.precision, PRECISIONS), ("--keep", options.keep, KEEP)):
        if value is not None and value not in choices:
            raise KpError(f"{option} {value}: choose {', '.join(choices[:-1])} or {choices[-1]}")
    if (name, part) not in RECIPES:
        parts = ", ".join(f"part {p}" if p else "--labels" for known, p in RECIPES if known == name)
        raise KpError(f"--recipe {name} is for {parts}, not for {f'part {part}' if part else '--labels'}")
    if part and (options.val_labels or options.scheme_file):
        option = "--val-labels" if options.val_labels else "--scheme"
        raise KpError(f"{option} goes with --labels, not with --part {part}")
    if part and options.allow_outside:
        raise KpError(f"--allow-outside goes with --labels, not with --part {part}")
    if labels and options.data:
        raise KpError("--data and --labels cannot be used together")
    recipe = RECIPES[name, part]
    if init := options.init or recipe.init:
        recipe = _like(recipe, init)
    if options.teacher:
        if recipe.loss != "heatmap":
            raise KpError(f"--teacher needs the recipe strong or large, not {name}")
        losses = {**recipe.loss_settings, "teacher_weight": TEACHER_WEIGHT}
        recipe = replace(recipe, teacher=options.teacher, loss_settings=losses)
    numbers = ("epochs", "batch_size", "learning_rate")
    recipe = replace(recipe, **{number: value for number in numbers if (value := getattr(options, number))})
    return replace(recipe, precision=resolve_precision(options.precision or recipe.precision))


def _like(recipe: Recipe, init: str) -> Recipe:
    """The recipe with the network of the run or weights that it starts from."""
    source = find_model(init).recipe
    if not source.network == recipe.network == "heatmap":
        kinds = f"{init} has a {source.network}, and {recipe.name} trains a {recipe.network}"
        raise KpError(f"--init {init}: networks of the recipes strong and large can start each other; {kinds}")
    return replace(recipe, init=init, settings=source.settings, shape=source.shape, stored_shape=source.stored_shape)


def differences(options: Options, config: TrainConfig) -> list[str]:
    """The options whose values differ from those of a run, each as a message; a run may be trained for more epochs."""
    recipe = config.recipe
    known: dict[str, Any] = {field.name: getattr(recipe, field.name, None) for field in fields(Options)}
    known |= {name: getattr(config, name) for name in (*FILES, *FLAGS)}
    known |= {"recipe": recipe.name, "data": "sample" if config.is_sample else config.data}
    messages = []
    for field in fields(Options):
        value, kept = getattr(options, field.name), known[field.name]
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
