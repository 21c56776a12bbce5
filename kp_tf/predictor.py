"""Photographs with boxes to points, from a completed run or the weights that come with the project."""

from dataclasses import fields
from itertools import islice
from pathlib import Path

import keras
import numpy as np

from kp_tf.errors import KpError
from kp_tf.geometry import crop_windows, to_pixels
from kp_tf.networks import build
from kp_tf.pipeline import scale_pixels, stream_crops
from kp_tf.readers.records import Records
from kp_tf.recipes import Recipe
from kp_tf.runs import Run, load_run, newest_run
from kp_tf.weights import committed, load_weights, save_weights

BATCH = 64


def choose_run(named: str | None) -> Run:
    """The network to use.

    Args:
        named: a run directory, or the name of weights that come with the project. None: the newest part 3 with
            68 points on real faces, and where there is none the weights that come with the project.

    Raises:
        KpError: if there is no such network.
    """
    if named is None:
        run = newest_run(3) or committed("compact")
        if run is None:
            drawn = newest_run(3, sample=True)
            hint = f" (--run {drawn.path} takes the one on drawn faces)" if drawn else ""
            raise KpError(f"runs/: expected a completed part 3 (python train.py --part 3), found none{hint}")
        return run
    return committed(named) or load_run(Path(named))


def load_model(run: Run) -> keras.Model:
    """The trained network of a run.

    Raises:
        KpError: if its file is missing or is no Keras model.
    """
    if run.path.suffix == ".npz":
        settings = {field.name: run.config[field.name] for field in fields(Recipe) if field.name in run.config}
        model = build(Recipe(name=run.config["recipe"], **settings), seed=0)
        load_weights(run.path, model)
        return model
    path = run.path / "model.keras"
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        found = str(error).splitlines()[0]
        raise KpError(f"{path}: expected the network of a run, found: {found}") from None


def pack(run: Path, out: Path) -> None:
    """Write a run's weights as one small file, as the weights that come with the project are.

    Raises:
        KpError: if there is no such run, or the file cannot be written.
    """
    chosen = load_run(run)
    save_weights(out, load_model(chosen), chosen.config, chosen.metrics)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def predict_records(model: keras.Model, records: Records, crop_scale: float) -> np.ndarray:
    """Predict the points of every record, batch by batch while the next ones are decoded.

    Args:
        model: from (B, H, W, 1) in [-0.5, 0.5] to (B, K, 2) in the unit square of the crop.
        records: N faces with boxes.
        crop_scale: as in the recipe that trained the model.

    Returns:
        (N, K, 2) in pixels of the photographs.

    Raises:
        KpError: if images cannot be used.
    """
    windows = crop_windows(records.boxes, crop_scale)
    crops = stream_crops(records, windows, model.input_shape[1:3])
    batches = iter(lambda: list(islice(crops, BATCH)), [])
    units = [model.predict_on_batch(scale_pixels(np.array(batch))) for batch in batches]
    return to_pixels(np.concatenate(units), windows)
