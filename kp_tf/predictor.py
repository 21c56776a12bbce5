"""Photographs with boxes to points, from a completed run or the weights that come with the project."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import keras
import numpy as np

from kp_tf.errors import KpError
from kp_tf.geometry import crop_windows, to_pixels
from kp_tf.models.heatmap import with_spread
from kp_tf.networks import build
from kp_tf.pipeline import scale_pixels, stream_crops
from kp_tf.readers.records import Records
from kp_tf.recipes import Recipe
from kp_tf.runs import Run, load_run, newest_run
from kp_tf.schemes import Scheme
from kp_tf.weights import WEIGHTS, committed, load_weights, read_run, save_weights

BATCH = 64
STEP = 0.5  # of the box, between the windows of a first look


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


def load_model(run: Run, precision: str = "float32") -> keras.Model:
    """The trained network of a run.

    Args:
        run: see `choose_run`.
        precision: a dtype policy of Keras'.

    Raises:
        KpError: if its file is missing or is no Keras model.
    """
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
        init: see `choose_run`.
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
    model: keras.Model, records: Records, run: Run, framed: bool = False, flips: bool = False
) -> np.ndarray:
    """Predict the points of every record, batch by batch while the next ones are decoded.

    Args:
        model: from (B, H, W, 1) in [-0.5, 0.5] to (B, K, 2) in the unit square of the crop.
        records: N faces with boxes.
        run: that trained the model.
        framed: the boxes are whole photographs; the model looks where faces were in its training and a little to
            all sides, and then again around the points that it found.
        flips: predict the mirrored crop too, in the last look, and take the mean of both.

    Returns:
        (N, K, 2) in pixels of the photographs.

    Raises:
        KpError: if images cannot be used, or flips are asked for points without mirror partners.
    """
    mirror = run.scheme.mirror
    if flips and mirror is None:
        raise KpError("--flips: expected a network whose points have mirror partners, found one without")

    crop_scale = run.recipe.crop_scale
    if not framed or run.framing is None:
        return _look(model, records, records.boxes, crop_scale, mirror if flips else None)
    points = _first_look(model, records, run)
    for number in range(1, run.recipe.looks):
        last = number == run.recipe.looks - 1
        boxes = run.framing.around(points, records.boxes)
        points = _look(model, records, boxes, crop_scale, mirror if flips and last else None)
    return points


def _look(
    model: keras.Model,
    records: Records,
    boxes: np.ndarray,
    crop_scale: float,
    mirror: tuple[int, ...] | None = None,
) -> np.ndarray:
    """The model's outputs (N, K, 2 or more), the first two in pixels, for windows about N boxes."""
    windows = crop_windows(boxes, crop_scale)
    crops = stream_crops(records, windows, model.input_shape[1:3])
    batches = iter(lambda: list(islice(crops, BATCH)), [])
    units = np.concatenate([_predict(model, scale_pixels(np.array(batch)), mirror) for batch in batches])
    return np.concatenate([to_pixels(units[..., :2], windows), units[..., 2:]], axis=-1)


def _first_look(model: keras.Model, records: Records, run: Run) -> np.ndarray:
    """Points (N, K, 2) from the window in which the heatmaps are sharpest: the mean face's and eight around it."""
    mean = run.framing.first(records.boxes)
    steps = np.array([(x, y, 0, 0) for y in (0, -1, 1) for x in (0, -1, 1)]) * STEP
    boxes = (mean[:, None] + steps * mean[:, None, [2, 3, 2, 3]]).reshape(-1, 4)
    several = records.take(np.repeat(np.arange(len(records)), len(steps)))
    found = _look(with_spread(model), several, boxes, run.recipe.crop_scale)
    found = found.reshape(len(records), len(steps), -1, 3)
    best = found[..., 2].mean(axis=2).argmin(axis=1)
    return found[np.arange(len(records)), best, :, :2]


def _predict(model: keras.Model, images: np.ndarray, mirror: tuple[int, ...] | None) -> np.ndarray:
    points = model.predict_on_batch(images)
    if mirror is None:
        return points
    turned = model.predict_on_batch(images[:, :, ::-1])[:, list(mirror)]
    return (points + turned * (-1.0, 1.0) + (1.0, 0.0)) / 2
