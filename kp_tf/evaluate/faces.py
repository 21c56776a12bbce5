"""Figures of chosen faces: their order by error, and their cut-outs with ground truth and prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kp_tf.core.images import open_photograph
from kp_tf.data.samples import Samples
from kp_tf.evaluate import metrics, pictures
from kp_tf.evaluate.canvas import square_crop


def face_scores(samples: Samples, predicted: np.ndarray) -> tuple[np.ndarray, bool]:
    """The error of each face, by which figures order them.

    Args:
        samples: N faces with labels.
        predicted: (N, K, 2) in pixels.

    Returns:
        The NME (N,) and True; or, if there are no eyes to compute it from, the mean error (N,) in pixels and False.
    """
    eyes = samples.scheme.eyes
    if eyes and not np.isnan(metrics.eye_distances(samples.labels, eyes)).all():
        return metrics.nme(predicted, samples.labels, eyes), True
    return metrics.face_errors(predicted, samples.labels), False


def best_first(scores: np.ndarray) -> np.ndarray:
    """Indices of the scores from the best to the worst, without NaN, the NME of a face without eyes."""
    return np.argsort(scores)[: np.count_nonzero(~np.isnan(scores))]


def draw_selected(
    path: Path,
    samples: Samples,
    predicted: np.ndarray,
    chosen: Sequence[int] | np.ndarray,
    best: int | None,
    title: str,
) -> None:
    """Draw some of N faces with ground truth, prediction and error.

    Args:
        path: the picture.
        samples: N faces with labels.
        predicted: (N, K, 2) in pixels of the photographs as stored.
        chosen: indices of the faces.
        best: see `pictures.faces`.
        title: of the picture.
    """
    scores, is_nme = face_scores(samples, predicted)
    crops = [_crop(samples, predicted, face) for face in chosen]
    pictures.faces(
        path,
        [pixels for pixels, _, _ in crops],
        [truth for _, truth, _ in crops],
        [prediction for _, _, prediction in crops],
        [f"NME {100 * scores[k]:.1f} %" if is_nme else f"{scores[k]:.1f} px" for k in chosen],
        best,
        title,
    )


def _crop(samples: Samples, predicted: np.ndarray, face: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A face cut out of its upright photograph, with ground truth and prediction in pixels of the cut-out."""
    photograph = open_photograph(samples.root / samples.files[face])
    truth, prediction = (photograph.orientation.to_upright(points[face]) for points in (samples.labels, predicted))
    height = photograph.orientation.boxes_to_upright(samples.boxes[face : face + 1])[0, 3]
    around = height * np.array([[-0.4], [0.4]]) if len(truth) == 1 else np.zeros((1, 1))
    pixels, offset = square_crop(np.asarray(photograph.upright), [truth + around, prediction])
    return pixels, truth - offset, prediction - offset
