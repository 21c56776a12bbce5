"""What the user of a training asks for, and the recipe that follows from it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from kp_tf.artifacts.find import find_model
from kp_tf.backends.precision import resolve_precision
from kp_tf.core.choices import KEEP, PRECISIONS
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import SCHEMES
from kp_tf.recipes import RECIPES, TEACHER_WEIGHT, Recipe

FILES = ("labels", "val_labels", "scheme_file")
ADDED = ("add", "add_val")  # several files each


@dataclass(frozen=True)
class Options:
    """What the user asks for; None where the recipe decides.

    Attributes:
        part: 1 nose, 2 IMM's 58 points, 3 iBUG's 68 points; None with `labels`.
        recipe: its name. Default: `course`, or `strong` with `labels`.
        data: see `data.datasets.find_data`.
        labels: any points, in one of `data.formats`.
        add: further labels for training alone, in any of `data.formats`, with the points found by their names. A file
            that is named twice counts twice.
        add_val: further labels for validation, likewise. Each file is scored on its own, and all join the calibration
            of the confidence.
        val_labels: the same for validation. Default: a tenth of the photographs.
        scheme_file: JSON for `keypoints.parse_scheme`. Default: the scheme of `init` or the published one that has the
            points of the labels; otherwise all points that they name, without flips.
        init: a run or weights (see `find_model`) to start from: their network, with a new last layer if the points
            differ; with the recipe `course`, a network of the same recipe and part.
        teacher: a run or weights with the same points, whose points on the training photographs count half.
        epochs: the total, at least 1; a run that is resumed may get more than it began with.
        batch_size: at least 1.
        learning_rate: between 0 and 1.
        precision: see `resolve_precision`. A resumed run ignores `auto` and keeps its precision.
        seed: of weights, order and augmentation, at least 0. Default: 0.
        deterministic: the same weights to the last bit when the command is repeated on this machine.
        skip_bad: leave out entries and photographs that cannot be used instead of failing.
        allow_outside: with `labels`, `add` or `add_val`, take photographs outside their folder as well.
        keep: the epoch whose weights are the result: `last`, or `best` for the one with the lowest validation loss.
            Default: `best` with `labels`, otherwise `last`.
    """

    part: int | None = None
    recipe: str | None = None
    data: str | None = None
    labels: Path | None = None
    add: tuple[Path, ...] | None = None
    add_val: tuple[Path, ...] | None = None
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
    kinds: dict[str, Callable] = {**dict.fromkeys((*FILES, "out"), Path), **dict.fromkeys(ADDED, _paths)}
    kinds |= dict.fromkeys(("data", "init", "teacher"), str)
    return {
        name: kinds[name](value) if name in kinds and value is not None else value for name, value in values.items()
    }


def _paths(named: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    return tuple(Path(path) for path in ([named] if isinstance(named, str | Path) else named))


def label_of(part: int | None, recipe: str) -> str:
    """What run directories are called before their number."""
    return f"part{part}-{recipe}" if part else f"labels-{recipe}"


def check(**options: Any) -> None:
    """Refuse what can be refused of a new training before TensorFlow is imported, which takes seconds.

    Args:
        **options: of `training.train.train`.

    Raises:
        KpError: as `requested_recipe`.
    """
    names = {field.name for field in fields(Options)}
    requested_recipe(Options(**{name: value for name, value in options.items() if name in names}))


def requested_recipe(options: Options) -> Recipe:
    """The recipe with the settings that the options override.

    Raises:
        KpError: if options contradict each other, or name a network that does not exist or cannot be started from.
    """
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
    if part and options.allow_outside and not (options.add or options.add_val):
        raise KpError(f"--allow-outside goes with --labels, --add or --add-val, not with --part {part} alone")
    if RECIPES[name, part].takes_whole_photographs:
        for option in (option for option in ADDED if getattr(options, option)):
            raise KpError(f"--{option.replace('_', '-')} goes with --part 3 or --labels, not with --part {part}")
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
    info = find_model(init)
    source = info.recipe
    if source.network != recipe.network:
        needed = f"the recipe {recipe.name} trains the network {recipe.network}"
        raise KpError(f"--init {init}: its network is {source.network}, and {needed}; start from one of the same kind")
    if recipe.has_heatmaps:
        sides = zip(recipe.stored_shape or (), source.shape, recipe.shape, strict=False)
        stored = tuple(round(side * new / old) for side, new, old in sides)  # the same part of the photograph
        changes = {"settings": source.settings, "shape": source.shape, "stored_shape": stored or None}
        return replace(recipe, init=init, **changes)
    if info.scheme != SCHEMES[str(recipe.scheme)]:
        needed = f"part {recipe.part} with the recipe {recipe.name} needs those of {recipe.scheme}"
        raise KpError(f"--init {init}: its points are those of {info.scheme.name}, and {needed}")
    return replace(recipe, init=init)
