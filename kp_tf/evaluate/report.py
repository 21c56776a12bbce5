"""The pictures of a run: which faces they show, and under which titles."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from kp_tf.artifacts.runs import Run
from kp_tf.backends.engines import Network
from kp_tf.backends.inference import predict_records
from kp_tf.data.datasets import Data, read_test, test_xml
from kp_tf.data.samples import Records, is_mirror
from kp_tf.evaluate import figures, metrics

PARTS = {1: "Part 1, nose tip", 2: "Part 2, 58 landmarks", 3: "Part 3, 68 landmarks", None: "Own landmarks"}
# the six pictures of each person of IMM
CONDITIONS = {
    "1": "frontal,\nneutral",
    "2": "frontal,\nhappy",
    "3": "turned to\ntheir right",
    "4": "turned to\ntheir left",
    "5": "frontal,\nspot light",
    "6": "as they\nliked",
}
SHOWN = 6  # faces in each row of the best and the worst


def draw_training(
    folder: Path,
    head: str,
    batch: tuple[np.ndarray, np.ndarray],
    history: Mapping[str, Sequence[float]],
    loss: str,
    model: keras.Model,
) -> None:
    """What the network was given, how its loss fell, and its first filters.

    Args:
        folder: where the pictures go.
        head: the start of every title, from `heading`.
        batch: images (B, H, W, 1) in [-0.5, 0.5] and points (B, K, 2) in the unit square, as trained on.
        history: `loss` and `val_loss` by epoch.
        loss: its name.
        model: its first convolution is drawn.
    """
    images = np.rint((np.asarray(batch[0]) + 0.5) * 255).clip(0, 255).astype(np.uint8)
    figures.training_samples(
        folder / "training_samples.png",
        images,
        np.asarray(batch[1]),
        f"{head}: training images and their points",
    )
    figures.losses(folder / "losses.png", history, f"{head}: loss by epoch", loss)
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernels = keras.ops.convert_to_numpy(first.kernel)
    figures.filters(folder / "filters.png", kernels, f"{head}: filters of the first layer")


def draw_validation(
    folder: Path, head: str, records: Records, predicted: np.ndarray, average: np.ndarray, by_condition: bool
) -> None:
    """The best and the worst validation faces and, for IMM, the error by pose and expression.

    Args:
        folder, head: as `draw_training`.
        records: N faces with truth.
        predicted, average: (N, K, 2) in pixels: the network's points and the mean shape's.
        by_condition: whether the files are named as IMM's are.
    """
    order = ordered(face_scores(records, predicted)[0])
    best, worst = order[:SHOWN], order[SHOWN:][-SHOWN:]
    title = f"{head}: best and worst of {len(records)} validation faces"
    draw_faces(folder / "validation_faces.png", records, predicted, [*best, *worst], len(best), title)
    if by_condition:
        unit = "mean error of a face (pixels)"
        figures.error_by_condition(
            folder / "error_by_condition.png",
            _by_condition(records, metrics.face_errors(predicted, records.points)),
            _by_condition(records, metrics.face_errors(average, records.points)),
            f"{head}: validation error by pose and expression",
            unit,
        )


def face_scores(records: Records, predicted: np.ndarray) -> tuple[np.ndarray, bool]:
    """What faces are ordered by (N,), NME if True, else pixels: where the scheme or every face has no eyes."""
    eyes = records.scheme.eyes
    if eyes and not np.isnan(metrics.eye_distances(records.points, eyes)).all():
        return metrics.nme(predicted, records.points, eyes), True
    return metrics.face_errors(predicted, records.points), False


def ordered(scores: np.ndarray) -> np.ndarray:
    """Indices of the scores that are there, from the best to the worst; a face without its eyes has no NME."""
    return np.argsort(scores)[: np.count_nonzero(~np.isnan(scores))]


def draw_faces(
    path: Path, records: Records, predicted: np.ndarray, chosen: Sequence[int], best: int | None, title: str
) -> None:
    """Chosen faces of N with truth, prediction (N, K, 2) and error; `best` as of `figures.faces`."""
    scores, is_nme = face_scores(records, predicted)
    cuts = [_cut(records, predicted, face) for face in chosen]
    figures.faces(
        path,
        [photograph for photograph, _ in cuts],
        [records.points[face] - offset for face, (_, offset) in zip(chosen, cuts, strict=True)],
        [predicted[face] - offset for face, (_, offset) in zip(chosen, cuts, strict=True)],
        [f"NME {100 * scores[k]:.1f} %" if is_nme else f"{scores[k]:.1f} px" for k in chosen],
        best,
        title,
    )


def test_examples(data: Data) -> Records | None:
    """Eight test photographs, evenly spaced through the test XML without mirrors; None where there is no XML.

    Raises:
        KpError: if the XML is bad.
    """
    if test_xml(data) is None:
        return None
    records = read_test(data)
    originals = [index for index, file in enumerate(records.files) if not is_mirror(file)]
    return records.take([originals[i] for i in np.linspace(0, len(originals) - 1, 8).round().astype(int)])


def draw_test(folder: Path, head: str, records: Records, network: Network, run: Run) -> None:
    """The points on whole test photographs of a network from `inference.for_prediction`."""
    figures.test_photographs(
        folder / "test_photographs.png",
        [_open(records, face) for face in range(len(records))],
        records.boxes,
        predict_records(network, records, run),
        f"{head}: predictions on test photographs",
    )


def heading(config: dict) -> str:
    """The start of a title: what was trained, and on what."""
    sample = ", sample of drawn faces" if config["sample"] else ""
    return f"{PARTS[config['part']]}, recipe {config['recipe']}{sample}"


def condition_errors(records: Records, errors: np.ndarray) -> dict[str, float]:
    """Mean of the errors (N,) for each of IMM's six pictures of a person."""
    means = {label: float(values.mean()) for label, values in _by_condition(records, errors).items()}
    return {label.replace("\n", " "): round(mean, 3) for label, mean in means.items()}


def _by_condition(records: Records, errors: np.ndarray) -> dict[str, np.ndarray]:
    conditions = np.array([file.split("-")[1][0] for file in records.files])
    return {label: errors[conditions == key] for key, label in CONDITIONS.items() if (conditions == key).any()}


def _open(records: Records, face: int) -> np.ndarray:
    with Image.open(records.root / records.files[face]) as photograph:
        return np.asarray(photograph.convert("RGB"))


def _cut(records: Records, predicted: np.ndarray, face: int) -> tuple[np.ndarray, np.ndarray]:
    """A validation face cut out, with the offset of its points."""
    truth = records.points[face]
    head = records.boxes[face, 3] * np.array([[-0.4], [0.4]]) if len(truth) == 1 else np.zeros((1, 1))
    return figures.cut_out(_open(records, face), [truth + head, predicted[face]])
