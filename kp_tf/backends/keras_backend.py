"""The networks of runs and packed files, computed by Keras on TensorFlow."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import load_weights
from kp_tf.backends.network import Cells, Network, pad_variance
from kp_tf.backends.precision import resolve_precision
from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular
from kp_tf.models.build import build_network
from kp_tf.models.detector import detector_network
from kp_tf.models.heatmap import with_variance
from kp_tf.models.layers import folded

MAX_CONFIG_BYTES = 10_000_000  # of a model; ours have 100,000


def load_model(info: ModelInfo, precision: str = "float32") -> keras.Model:
    """The trained network of a run or packed file as a Keras model.

    Args:
        info: see `artifacts.find.find_model`.
        precision: see `precision.resolve_precision`.

    Returns:
        A model from (B, H, W, 1) in [-0.5, 0.5] to (B, K, 2) in the unit square of the crop.

    Raises:
        KpError: if its file is missing or is not a Keras model.
    """
    is_own = info.recipe.network == "own"
    precision = resolve_precision("float32" if is_own and precision == "auto" else precision)
    if is_own and precision != "float32":
        raise KpError(f"{info.path}: a model of your own computes as it was saved; leave out --precision {precision}")
    if info.path.suffix == ".npz":
        model = _build(info, precision)
        load_weights(info.path, model)
        return model
    saved = _read_keras(info.path / "model.keras", (None, *info.recipe.shape, 1), (None, len(info.scheme), 2))
    if precision == "float32":
        return saved
    model = _build(info, precision)
    model.set_weights(saved.get_weights())
    return model


def _build(info: ModelInfo, precision: str) -> keras.Model:
    try:
        return build_network(info.recipe, len(info.scheme), seed=0, precision=precision)
    except (TypeError, ValueError, KeyError) as error:
        raise KpError(f"{info.path}: its settings do not make a network: {error}") from None


def _read_keras(path: Path, inputs: tuple[int | None, ...], outputs: tuple[int | None, ...]) -> keras.Model:
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if (size := archive.getinfo("config.json").file_size) > MAX_CONFIG_BYTES:
                raise ValueError(f"its configuration has {size:,} bytes")
        model = keras.saving.load_model(path, compile=False)
        if not isinstance(model, keras.Model):
            raise ValueError(f"it holds a {type(model).__name__}, not a model")
        shapes = model.input_shape, model.output_shape
    except Exception as error:  # Keras lets through whatever a damaged file leads its parts to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise KpError(f"cannot read {path}: {reason}") from None
    if shapes != (inputs, outputs):
        raise KpError(f"{path}: it goes from {shapes[0]} to {shapes[1]}, which is not what config.json says")
    return model


def load_keras_network(info: ModelInfo, precision: str = "float32") -> Network:
    """The trained network as a backend; arguments and errors as of `load_model`."""
    return for_prediction(load_model(info, precision), info)


def for_prediction(model: keras.Model, info: ModelInfo) -> Network:
    """A backend with the model's present weights, faster than the model itself.

    The first call takes seconds, because it traces the network; one trace serves batches of any size.
    """
    network = model if info.recipe.network == "own" else folded(add_variance(model, info))
    crops = tf.TensorSpec((None, *info.recipe.shape, 1), tf.float32)
    compute = tf.function(lambda images: network(images, training=False), input_signature=[crops])

    def predict(images: np.ndarray) -> np.ndarray:
        return pad_variance(compute(images).numpy())

    return predict


def load_detector_with_keras(path: Path) -> Cells:
    """The detector of packed weights. Raises KpError if the file is not that of a detector."""
    model = detector_network()
    load_weights(path, model)
    return as_cells(folded(model))


def as_cells(model: keras.Model) -> Cells:
    """A detector's network, with its present weights at each call, as a function of arrays."""
    pictures = tf.TensorSpec((None, None, None, 1), tf.float32)
    compute = tf.function(lambda images: model(images, training=False), input_signature=[pictures])
    return lambda images: compute(images).numpy()


def add_variance(model: keras.Model, info: ModelInfo) -> keras.Model:
    """The model with outputs (B, K, 3), x, y and variance, if it has heatmaps."""
    return with_variance(model) if info.recipe.has_heatmaps else model
