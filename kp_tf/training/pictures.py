"""The figures of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.images import open_photograph
from kp_tf.data.samples import Samples, points_to_upright
from kp_tf.evaluate import metrics, pictures, plots
from kp_tf.evaluate.faces import best_first, draw_selected, face_scores
from kp_tf.predict.samples import predict_samples
from kp_tf.training.scores import Scores, by_condition

NUM_SHOWN = 6  # faces among the best and among the worst
NUM_TEST = 8  # test photographs
LOSSES = {
    "mse": "mean squared error (unit square)",
    "mae": "mean absolute error (unit square)",
    "heatmap": "wing loss and variance of the heatmaps",
    "wing": "wing loss (pixels of the input)",
    "own": "loss",
}


@dataclass(frozen=True)
class EndedTraining:
    """A training that has ended, with everything that its figures show.

    Attributes:
        path: the run directory.
        title: what was trained, and on what.
        info: of the network.
        model: in float32.
        network: the same for prediction.
        history: losses, metrics and seconds by epoch.
        kept_epoch: counted from 1, whose weights the network has.
        first_images: returns images (B, H, W, 1) in [-0.5, 0.5] and points (B, K, 2) in the unit square, as trained
            on; twice as many points if there was a teacher.
        validation: the faces for validation.
        scores: on those.
        test: photographs without labels, if the data set has any.
    """

    path: Path
    title: str
    info: ModelInfo
    model: keras.Model
    network: Network
    history: list[dict[str, float]]
    kept_epoch: int
    first_images: Callable[[], tuple[np.ndarray, np.ndarray]]
    validation: Samples
    scores: Scores
    test: Samples | None


def draw_run(run: EndedTraining) -> None:
    """Draw all figures into the folder `figures` of the run.

    Raises:
        KpError: if a picture cannot be written.
    """
    folder = run.path / "figures"
    folder.mkdir(exist_ok=True)
    images, points = run.first_images()
    images = np.rint((images + 0.5) * 255).clip(0, 255).astype(np.uint8)
    title = f"{run.title}: training images and their points"
    pictures.training_samples(folder / "training_samples.png", images, points[:, : len(run.info.scheme)], title)
    history = {name: [row[name] for row in run.history] for name in ("loss", "val_loss")}
    title = f"{run.title}: loss by epoch"
    plots.losses(folder / "losses.png", history, title, LOSSES[run.info.recipe.loss], run.kept_epoch)
    if convolutions := [layer for layer in run.model.layers if isinstance(layer, keras.layers.Conv2D)]:
        kernels = np.asarray(keras.ops.convert_to_numpy(convolutions[0].kernel))
        pictures.filters(folder / "filters.png", kernels, f"{run.title}: filters of the first layer")
    _draw_validation(run, folder)
    if run.test:
        _draw_test(run, run.test, folder)


def best_and_worst(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Up to `NUM_SHOWN` of the best and of the worst faces, from indices from the best to the worst; none is both."""
    num_best = min(NUM_SHOWN, len(order) // 2)
    return order[:num_best], order[num_best:][-NUM_SHOWN:]


def _draw_validation(run: EndedTraining, folder: Path) -> None:
    """The best and worst validation faces and, for IMM, the error by pose and expression."""
    samples, predicted = run.validation, run.scores.predicted
    order = best_first(face_scores(samples, predicted)[0])
    best, worst = best_and_worst(order)
    which = f"best and worst of {len(samples)} validation faces" if len(best) else "the validation face"
    title = f"{run.title}: {which}"
    draw_selected(folder / "validation_faces.png", samples, predicted, [*best, *worst], len(best) or None, title)
    if run.info.recipe.takes_whole_photographs:
        plots.error_by_condition(
            folder / "error_by_condition.png",
            by_condition(samples, metrics.face_errors(predicted, samples.labels)),
            by_condition(samples, metrics.face_errors(run.scores.mean_shape, samples.labels)),
            f"{run.title}: validation error by pose and expression",
            "mean error of a face (pixels)",
        )


def _draw_test(run: EndedTraining, samples: Samples, folder: Path) -> None:
    """The points on the first test photographs, which are shown whole."""
    samples = samples.take(range(min(NUM_TEST, len(samples))))
    orientations = samples.orientations()
    points = predict_samples(run.network, samples, run.info)[..., :2]
    photographs = [np.asarray(open_photograph(samples.root / file).upright) for file in samples.files]
    pictures.test_photographs(
        folder / "test_photographs.png",
        photographs,
        samples.upright(orientations).boxes,
        points_to_upright(points, orientations),
        f"{run.title}: predictions on test photographs",
    )
