"""Photographs with boxes to points, from a completed run."""

from pathlib import Path

import keras
import numpy as np

from kp_tf.errors import KpError
from kp_tf.geometry import crop_windows, to_pixels
from kp_tf.models import heatmap, layers  # noqa: F401  their layers become known to Keras' loader
from kp_tf.pipeline import scale_pixels, stream_crops
from kp_tf.readers.records import Records
from kp_tf.runs import Run

BATCH = 64


def load_model(run: Run) -> keras.Model:
    """The trained network of a run.

    Raises:
        KpError: if its file is missing or is no Keras model.
    """
    path: Path = run.path / "model.keras"
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        found = str(error).splitlines()[0]
        raise KpError(f"{path}: expected the network of a run, found: {found}") from None


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
    units, batch = [], []
    for crop in stream_crops(records, windows, model.input_shape[1:3]):
        batch.append(crop)
        if len(batch) == BATCH:
            units.append(model.predict_on_batch(scale_pixels(np.array(batch))))
            batch = []
    if batch:
        units.append(model.predict_on_batch(scale_pixels(np.array(batch))))
    return to_pixels(np.concatenate(units), windows)
