"""Weights as one `.npz`, which holds no code and is not unpickled; `compact` and `large` come with the project."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.errors import KpError
from kp_tf.core.files import parse_json, read_npz, replacing

if TYPE_CHECKING:
    import keras  # takes seconds to import, and reading what a file says needs none of it

FOLDER = Path(__file__).parents[1] / "weights"
WEIGHTS = ("compact", "large")
_WRITTEN = "weights as `python -m kp_tf pack` writes them"


def committed(name: str) -> ModelInfo:
    """The weights of that name among WEIGHTS."""
    return read_weights(FOLDER / f"{name}.npz")


def read_weights(path: Path) -> ModelInfo:
    """What a file of `save_weights` says of its network.

    Raises:
        KpError: if the file is missing or is not such a file.
    """
    archive = read_npz(path, _WRITTEN)
    if "about" not in archive:
        raise KpError(f"{path}: expected {_WRITTEN}, found no entry 'about'")
    return parse_description(path, str(archive["about"]))


def describe_model(info: ModelInfo) -> dict:
    """What a packed or exported file says of its network, as JSON."""
    return {"config": info.to_json(), "metrics": info.metrics}


def parse_description(path: Path, text: str) -> ModelInfo:
    """The inverse of `describe_model`. Raises KpError if an entry is missing or cannot be used."""
    about = parse_json(text, path)
    return ModelInfo.from_json(path, about.get("config", {}), about.get("metrics", {}))


def save_weights(path: Path, model: "keras.Model", about: dict) -> None:
    """Write a model's weights: kernels in float16, the few other numbers in float32.

    Args:
        path: the `.npz`.
        model: whose weights have names of their own.
        about: what the file says of it, such as `describe_model`.

    Raises:
        KpError: if the file cannot be written.
    """
    arrays: dict[str, Any] = stored_weights(model)
    with replacing(path) as temporary:
        np.savez(temporary, about=np.array(json.dumps(about)), **arrays)


def stored_weights(model: "keras.Model") -> dict[str, np.ndarray]:
    """A model's weights by their paths, as `save_weights` writes and `load_weights` reads them."""
    return {
        weight.path: weight.numpy().astype(np.float16 if weight.ndim > 1 else np.float32) for weight in model.weights
    }


def load_weights(path: Path, model: "keras.Model") -> None:
    """Set the weights of a model from a file of `save_weights`, or another with `stored_weights`.

    Raises:
        KpError: if the file belongs to another network.
    """
    archive = read_npz(path, _WRITTEN)
    for weight in model.weights:
        values = archive.get(weight.path)
        if values is None or values.shape != tuple(weight.shape) or values.dtype.kind != "f":
            raise KpError(f"{path}: the weights {weight.path} of shape {tuple(weight.shape)} are missing")
        if not np.isfinite(values).all():
            raise KpError(f"{path}: the weights {weight.path} are not finite")
        weight.assign(values.astype(np.float32))
