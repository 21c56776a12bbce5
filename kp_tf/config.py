"""A run's settings: made of a recipe and what was asked for, and compared when it goes on."""

from dataclasses import asdict, replace
from pathlib import Path

from kp_tf.errors import KpError
from kp_tf.predictor import like
from kp_tf.readers.datasets import Data, find_data
from kp_tf.recipes import RECIPES


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
    settings = replace(settings, **{name: given[name] for name in ("epochs", "batch_size") if given[name]})
    labels = given["labels"]
    source = Data(labels.parent, sample=False) if labels else find_data(given["data"], settings.dataset)
    config = {"recipe" if name == "name" else name: value for name, value in asdict(settings).items()}
    files = {name: str(given[name]) for name in ("labels", "val_labels", "scheme_file") if given[name]}
    return config | {"seed": given["seed"] or 0, "data": str(source.root), "sample": source.sample, **files}


def check_same(given: dict, config: dict, run: Path) -> None:
    """Refuse settings that are given again with another value."""
    for name, value in given.items():
        kept = "sample" if name == "data" and config["sample"] else config.get(name)
        if value is not None and str(value) != str(kept):
            option = name.removesuffix("_file").replace("_", "-")
            raise KpError(f"--{option} {value}: expected {kept}, as {run} began, or nothing, found another value")
