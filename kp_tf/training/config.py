"""A run's settings: made of a recipe and what was asked for, and compared when it goes on."""

from dataclasses import asdict, replace
from pathlib import Path

from kp_tf.artifacts.runs import is_complete, read_config, runs_of
from kp_tf.artifacts.weights import PATHS
from kp_tf.backends.inference import like
from kp_tf.backends.precision import resolve
from kp_tf.core.errors import KpError
from kp_tf.data.datasets import Data, find_data
from kp_tf.recipes import RECIPES, TEACHER


def label_of(part: int | None, recipe: str) -> str:
    """What a run's directory is called, before its number."""
    return f"part{part}-{recipe}" if part else f"labels-{recipe}"


def new_config(part: int | None, recipe: str, given: dict) -> dict:
    """All settings of a new run, but for what the training's faces decide."""
    if (part is None) == (given["labels"] is None):
        raise KpError("expected either --part or --labels, found " + ("both" if part else "neither"))
    if (recipe, part) not in RECIPES:
        parts = ", ".join(f"part {p}" if p else "--labels" for name, p in RECIPES if name == recipe)
        raise KpError(f"--recipe {recipe}: expected {parts}, found {f'part {part}' if part else '--labels'}")
    if part and (wrong := [name for name in ("val_labels", "scheme_file") if given[name]]):
        raise KpError(f"--{wrong[0].split('_file')[0].replace('_', '-')}: expected --labels, found --part {part}")
    settings = RECIPES[recipe, part]
    if given["init"]:
        settings = replace(settings, init=given["init"])
    if settings.init:
        settings = like(settings, settings.init)
    if given["teacher"]:
        if settings.loss != "heatmap":
            raise KpError(f"--teacher {given['teacher']}: expected the recipe strong or large, found {recipe}")
        loss = {**settings.loss_settings, "teacher": TEACHER}
        settings = replace(settings, teacher=given["teacher"], loss_settings=loss)
    numbers = ("epochs", "batch_size", "learning_rate")
    settings = replace(settings, **{name: given[name] for name in numbers if given[name]})
    settings = replace(settings, precision=resolve(given["precision"] or settings.precision))
    labels = given["labels"]
    if labels and given["data"]:
        raise KpError(f"--data {given['data']}: expected no --data with --labels, found both")
    source = Data(labels.parent, sample=False) if labels else find_data(given["data"], settings.dataset)
    config = {"recipe" if name == "name" else name: value for name, value in asdict(settings).items()}
    # absolute, so that a run can go on from any folder
    files = {name: str(given[name].resolve()) for name in ("labels", "val_labels", "scheme_file") if given[name]}
    root = str(source.root.resolve())
    flags = {name: bool(given[name]) for name in ("deterministic", "skip_bad")}
    return config | {"seed": given["seed"] or 0, **flags, "data": root, "sample": source.sample, **files}


def differences(given: dict, config: dict) -> list[str]:
    """What is given again with another value, for messages: the option, its value and the run's."""
    found = []
    for name, value in given.items():
        kept = "sample" if name == "data" and config["sample"] else config.get(name)
        if value is None or str(value) == str(kept) or (name, value) == ("precision", "auto"):
            continue
        if name in PATHS and kept is not None and Path(value).resolve() == Path(kept).resolve():
            continue
        found.append(f"--{name.removesuffix('_file').replace('_', '-')} {value}: expected {kept}")
    return found


def run_to_resume(part: int | None, recipe: str, out: Path | None, given: dict) -> tuple[Path, dict]:
    """The run that `--resume` goes on with, and its settings.

    It is `out`, else among the runs of the part and recipe the newest unfinished one that has the given settings;
    a finished one where there is none.

    Raises:
        KpError: if there is none, or `out` has other settings.
    """
    paths = [out] if out else runs_of(label_of(part, recipe))
    if not paths or not (paths[0] / "config.json").is_file():
        where = f"--resume --out {out}" if out else f"--resume: runs/{label_of(part, recipe)}-…"
        raise KpError(f"{where}: expected a run (a folder with config.json), found none")
    runs = [(path, read_config(path)) for path in paths]
    same = [(path, config) for path, config in runs if not differences(given, config)]
    if not same:
        path, config = runs[0]
        raise KpError(f"{differences(given, config)[0]}, as {path} began, or nothing, found another value")
    return min(same, key=lambda run: is_complete(run[0]))  # the first of the unfinished ones
