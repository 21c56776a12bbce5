"""Records with boxes to points through Keras and `tf.data`: what training, evaluation and the competition use."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from kp_tf.artifacts.runs import Run, load_run
from kp_tf.artifacts.weights import choose_run, load_weights, save_weights
from kp_tf.backends.engines import Network, three
from kp_tf.backends.precision import resolve
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import crop_windows, to_pixels
from kp_tf.core.keypoints import Scheme
from kp_tf.data.samples import Records
from kp_tf.input.pipeline import BATCH, scale_pixels, stream_crops
from kp_tf.models.heatmap import with_spread
from kp_tf.models.layers import folded
from kp_tf.predict.cascade import outputs_of
from kp_tf.recipes import Recipe
from kp_tf.training.networks import build


def load_model(run: Run, precision: str = "float32") -> keras.Model:
    """The trained network of a run.

    Args:
        run: see `weights.choose_run`.
        precision: see `precision.resolve`.

    Raises:
        KpError: if its file is missing or is no Keras model.
    """
    precision = resolve(precision)
    if run.path.suffix == ".npz":
        model = build(run.recipe, len(run.scheme), seed=0, precision=precision)
        load_weights(run.path, model)
        return model
    path = run.path / "model.keras"
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras lets pass what its parts make of a damaged file
        found = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise KpError(f"{path}: expected the network of a run, found: {found}") from None
    if precision == "float32":
        return model
    again = build(run.recipe, len(run.scheme), seed=0, precision=precision)
    again.set_weights(model.get_weights())
    return again


def load_network(run: Run, precision: str = "float32") -> Network:
    """The trained network of a run as `predict_outputs` takes it; arguments and errors as of `load_model`."""
    return for_prediction(load_model(run, precision), run)


def like(recipe: Recipe, init: str) -> Recipe:
    """The recipe with the network of the run or weights that it starts from.

    Raises:
        KpError: if there is no such network, or it is one that cannot start this recipe.
    """
    source = choose_run(init).recipe
    if not source.network == recipe.network == "heatmap":
        found = f"{source.network} for {recipe.network}"
        raise KpError(f"--init {init}: expected networks of the recipes strong and large, found {found}")
    shapes = {"settings": source.settings, "shape": source.shape, "stored_shape": source.stored_shape}
    return replace(recipe, init=init, **shapes)


def start_from(model: keras.Model, init: str, scheme: Scheme, images: np.ndarray, units: np.ndarray) -> None:
    """Set a heatmap network's weights to those of a run or weights.

    Where the points have other names, each begins as the point of `init` that is nearest to it on these images: its
    part of the last layer is that point's.

    Args:
        model: as `networks.build` makes it from the recipe that `like` gives.
        init: see `weights.choose_run`.
        scheme: of the model's points.
        images: (N, H, W, 1) in [-0.5, 0.5], the network's windows of some faces.
        units: (N, K, 2) their points in the unit square of the windows; NaN where one is missing.
    """
    run = choose_run(init)
    source = load_model(run)
    weights = {weight.path: keras.ops.convert_to_numpy(weight) for weight in source.weights}
    if run.scheme.names != scheme.names:
        batches = np.array_split(images, -(-len(images) // BATCH))
        found = np.concatenate([source.predict_on_batch(batch) for batch in batches])
        distance = np.nanmean(np.linalg.norm(units[:, :, None] - found[:, None], axis=-1), axis=0)  # (K, old K)
        nearest = distance.argmin(axis=1)
        for path in ("scores/kernel", "scores/bias"):
            folded = weights[path].reshape(*weights[path].shape[:-1], -1, found.shape[1])
            weights[path] = folded[..., nearest].reshape(*weights[path].shape[:-1], -1)
    for weight in model.weights:
        weight.assign(weights[weight.path])


def pack(run: Path, out: Path) -> None:
    """Write a run's weights as one small file, as the weights that come with the project are.

    Raises:
        KpError: if there is no such run, or the file is no `.npz` or cannot be written.
    """
    if out.suffix != ".npz":
        raise KpError(f"--out {out}: expected a name that ends in .npz, found {out.suffix or 'no ending'}")
    chosen = load_run(run)
    save_weights(out, load_model(chosen), chosen)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def predict_records(
    network: Network, records: Records, run: Run, framed: bool = False, flips: bool = False
) -> np.ndarray:
    """The points alone of `predict_outputs`: (N, K, 2) in pixels of the photographs."""
    return predict_outputs(network, records, run, framed, flips)[..., :2]


def predict_outputs(
    network: Network, records: Records, run: Run, framed: bool = False, flips: bool = False
) -> np.ndarray:
    """Predict the points of every record, batch by batch while the next ones are decoded.

    Args:
        network: of `for_prediction`.
        records: N faces with boxes.
        run: that trained the network.
        framed: the boxes are whole photographs; see `looks.outputs_of`.
        flips: predict the mirrored crop too, in the last look, and take the mean of both.

    Returns:
        (N, K, 3): x and y in pixels of the photographs, and the variance of the point's heatmap in units of the
        crop's side, NaN where the network has no heatmaps.

    Raises:
        KpError: if images cannot be used, or flips are asked for points without mirror partners.
    """
    mirror = run.scheme.mirror
    if flips and mirror is None:
        raise KpError("--flips: expected a network whose points have mirror partners, found one without")

    def look(faces: np.ndarray, boxes: np.ndarray, last: bool) -> np.ndarray:
        windows = crop_windows(boxes, run.recipe.crop_scale)
        crops = stream_crops(records.take(faces), windows, run.recipe.shape)
        batches = iter(lambda: list(islice(crops, BATCH)), [])
        turned = mirror if flips and last else None
        units = np.concatenate([predict_crops(network, scale_pixels(np.array(batch)), turned) for batch in batches])
        return np.concatenate([to_pixels(units[..., :2], windows), units[..., 2:]], axis=-1)

    def sizes() -> np.ndarray:
        found = {}
        for file in set(records.files):
            with Image.open(records.root / file) as photograph:
                found[file] = photograph.size
        return np.array([found[file] for file in records.files])

    return outputs_of(look, records.boxes, run, sizes, framed)


def for_prediction(model: keras.Model, run: Run) -> Network:
    """The model as it is now, faster than it trains: crops (B, H, W, 1) to outputs (B, K, 3) as of `engines.three`.

    The first call takes seconds; it traces the network once for batches of any size.
    """
    network = folded(with_variance(model, run))
    crops = tf.TensorSpec((None, *run.recipe.shape, 1), tf.float32)
    compute = tf.function(lambda images: network(images, training=False), input_signature=[crops])
    return lambda images: three(compute(images).numpy())


def with_variance(model: keras.Model, run: Run) -> keras.Model:
    """The model with outputs (B, K, 3): x, y and variance, where it has heatmaps."""
    return with_spread(model) if run.recipe.network == "heatmap" else model


def predict_crops(network: Network, images: np.ndarray, mirror: tuple[int, ...] | None = None) -> np.ndarray:
    """Outputs (B, K, 3) of a network for crops (B, H, W, 1), or the mean with those of the mirrored crops."""
    outputs = network(images)
    if mirror is None:
        return outputs
    turned = predict_crops(network, images[:, :, ::-1])[:, list(mirror)]
    return (outputs + turned * (-1.0, 1.0, 1.0) + (1.0, 0.0, 0.0)) / 2
