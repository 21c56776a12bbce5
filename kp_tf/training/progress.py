"""What the network predicts on some validation photographs after each epoch, for whoever watches a training."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kp_tf.core.files import write_json
from kp_tf.core.geometry import to_pixels
from kp_tf.input.batches import scale_pixels
from kp_tf.training.faces import Faces

PROGRESS = "progress.json"
MOST = 12  # faces, evenly chosen


class Progress(keras.callbacks.Callback):
    """Writes `progress.json` after each validation: points in pixels of the upright photographs.

    It comes before `SwapEMAWeights` among the callbacks, so that it sees averaged weights where validation does.
    """

    def __init__(self, run: Path, network: keras.Model, faces: Faces) -> None:
        """Predict some of the faces with a network that shares its layers with the fitted model."""
        super().__init__()
        chosen = np.linspace(0, len(faces) - 1, min(MOST, len(faces))).round().astype(int)
        self._path, self._network, self._epoch = run / PROGRESS, network, 0
        self._files = [faces.samples.files[index] for index in chosen]
        self._windows = faces.windows[chosen]
        self._images = scale_pixels(tf.constant(faces.crops_of(chosen)))
        self._labels = faces.upright.labels[chosen]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_test_end(self, logs: dict | None = None) -> None:
        predicted = np.asarray(keras.ops.convert_to_numpy(self._network(self._images, training=False)), np.float64)
        points = to_pixels(predicted, self._windows)
        faces = [
            {"file": file, "window": window[:4].round(1).tolist(), "points": _rounded(face), "labels": _rounded(label)}
            for file, window, face, label in zip(self._files, self._windows, points, self._labels, strict=True)
        ]
        write_json(self._path, {"epoch": self._epoch + 1, "faces": faces})


def _rounded(points: np.ndarray) -> list[list[float] | None]:
    return [None if np.isnan(point).any() else point.round(1).tolist() for point in points]
