"""Training from Python: `kp_tf.train`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from kp_tf.artifacts.runs import read_run
from kp_tf.backends.keras_backend import load_model
from kp_tf.training.options import values_from_python
from kp_tf.training.train import train as train_to_directory


@dataclass(frozen=True)
class TrainedRun:
    """What `train` returns.

    Attributes:
        model: the trained network, from (B, H, W, 1) in [-0.5, 0.5] to (B, K, 2) in the unit square of the crop.
        history: losses, metrics and seconds by epoch, as in `keras.callbacks.History.history`.
        folder: the run directory, which `Predictor.load` takes.
        metrics: the scores on the validation faces and how they were reached, as in `metrics.json`.
    """

    model: keras.Model
    history: dict[str, list[float]]
    folder: Path
    metrics: dict[str, Any]


def train(
    part: int | None = None,
    labels: str | Path | None = None,
    *,
    recipe: str | None = None,
    data: str | Path | None = None,
    model: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **options: Any,
) -> TrainedRun | None:
    """Train as `kp-tf train` does, and leave a run directory with the network, its scores and figures.

    Args:
        part: 1 nose tip, 2 IMM's 58 points, 3 iBUG's 68 points; None with `labels`.
        labels: dlib's XML with points of your own, instead of a part.
        recipe: "course", "strong" or "large". Default: "course", or "strong" with `labels`.
        data: folder of the data sets, or "sample" for synthetic faces. Default: $KP_TF_DATA, `data/`, or the sample.
        model: a model of your own to train instead of the recipe's network: functional or sequential, from
            (B, H, W, 1) to (B, K, 2), with the recipe's H and W (`FaceData.shape`). A compiled model keeps its loss,
            optimizer and metrics; otherwise the recipe's are used. Missing points are NaN, which `WingLoss` ignores.
        callbacks: of Keras, called after those of every training.
        **options: those of `kp-tf train`, None where the recipe decides. What to train on: val_labels, scheme_file
            (`--scheme`), add and add_val (lists of further labels for training and for validation), allow_outside,
            skip_bad. How: init, teacher, epochs, batch_size, learning_rate, precision, keep, seed, devices,
            deterministic. Run directory: out, overwrite, resume. And figures, False for none.

    Returns:
        The trained run; None on a machine of several that is not the chief.

    Raises:
        KpError: if an argument, the model or the data cannot be used: no run directory is made then. Or if a loss is
            not finite or a file cannot be written: the last finished epoch is kept, and `resume=True` continues it.
        KeyboardInterrupt: after Ctrl-C, once the results so far have been scored and written.
    """
    asked = values_from_python(part=part, labels=labels, recipe=recipe, data=data, **options)
    folder = train_to_directory(**asked, model=model, callbacks=callbacks)
    return folder and _read_back(folder, model)


def _read_back(folder: Path, own: keras.Model | None) -> TrainedRun:
    info = read_run(folder)
    rows = pd.read_csv(folder / "history.csv").drop(columns="epoch")
    return TrainedRun(load_model(info) if own is None else own, rows.to_dict("list"), folder, info.metrics)
