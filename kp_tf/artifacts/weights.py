"""The trained weights that come with the project: one `.npz` each, which holds no code and is not unpickled."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kp_tf.artifacts.runs import Run, load_run, newest_run
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_npz, replacing

if TYPE_CHECKING:
    import keras  # takes seconds, and reading what a file says needs none of it

PATHS = ("data", "labels", "val_labels", "scheme_file")  # of the machine that trained, of no use elsewhere
HERE = Path(__file__).parents[1] / "weights"
WRITTEN = "weights as `python -m kp_tf pack` writes them"

WEIGHTS = tuple(sorted(path.stem for path in HERE.glob("*.npz")))


def choose_run(named: str | None) -> Run:
    """The network to use.

    Args:
        named: a run directory, a file that `pack` wrote, or the name of weights that come with the project.
            None: the newest part 3 with 68 points on real faces, and where there is none the most accurate
            weights that come with the project.

    Raises:
        KpError: if there is no such network.
    """
    if named is None:
        return newest_run(3) or min((committed(name) for name in WEIGHTS), key=lambda run: run.metrics["val_nme"])
    if named in WEIGHTS:
        return committed(named)
    path = Path(named)
    return read_run(path) if path.suffix == ".npz" else load_run(path)


def committed(name: str) -> Run:
    """The weights of that name among WEIGHTS."""
    return read_run(HERE / f"{name}.npz")


def read_run(path: Path) -> Run:
    """The settings and figures in a file of `save_weights`.

    Raises:
        KpError: if the file is missing or is no such file.
    """
    try:
        about = json.loads(str(read_npz(path, WRITTEN)["about"]))
        return Run(path, about["config"], about["metrics"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KpError(f"{path}: expected {WRITTEN}, found: {error}") from None


def portable(run: Run) -> dict:
    """What a file says of the run whose network it holds, without paths of the machine that trained it."""
    config = {name: value for name, value in run.config.items() if name not in PATHS}
    return {"config": config, "metrics": run.metrics}


def save_weights(path: Path, model: "keras.Model", run: Run) -> None:
    """Write a model's weights: kernels in float16, the few other numbers in float32.

    Args:
        path: the `.npz`.
        model: any model that `networks.build` makes from the run's recipe.
        run: that trained it.
    """
    arrays = {
        weight.path: weight.numpy().astype(np.float16 if weight.ndim > 1 else np.float32)
        for weight in model.weights
    }
    about = json.dumps(portable(run))
    with replacing(path) as temporary:
        np.savez(temporary, about=np.array(about), **arrays)


def load_weights(path: Path, model: "keras.Model") -> None:
    """Set the weights of a model from a file of `save_weights`.

    Raises:
        KpError: if the file is another network's.
    """
    archive = read_npz(path, WRITTEN)
    for weight in model.weights:
        if weight.path not in archive or archive[weight.path].shape != tuple(weight.shape):
            raise KpError(f"{path}: expected weights {weight.path} of shape {tuple(weight.shape)}, found others")
        weight.assign(archive[weight.path].astype(np.float32))
