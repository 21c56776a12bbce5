"""The limit by which networks of the 68 points tell false detections (`kp_tf.predict.false_faces`), fitted anew.

    python -m benchmarks.agreement --photographs DIR/more_faces/wflwphotos --out agreement.json
    python -m benchmarks.detection_limit --data DIR --agreement agreement.json

The built-in detector's finds are taken from training parts alone: infants, hard faces, and every second whole
photograph and squares without faces in it. A logistic regression tells those that are faces from those that are none,
which count alike, by the logarithm of the heatmaps' deviation in units of the network's `max_deviation`, the distance
from the mean shape, and the angle between points and detector in right angles. Only what is near the limit is fitted.
The limit is where both are equally probable.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import detection_sets
from benchmarks.detection_scores import Result, judge
from benchmarks.detection_sets import Scene
from benchmarks.face_sets import read_set
from benchmarks.held_out import is_held_out, shows_held_out
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends import load_network
from kp_tf.backends.network import Network
from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.images import open_photograph
from kp_tf.predict.cascade import cropper_of, run_cascade
from kp_tf.predict.confidence import mean_deviation
from kp_tf.predict.detectors import DEFAULT, NamedDetector
from kp_tf.predict.false_faces import unlikeness

SETS = ("infanface", "wflw")
NEAR = (0.76, 1.26)  # of `max_deviation`: what is fitted


def measure(data: Path, agreement: Path, run: str) -> None:
    """Print the numbers of the limit, and what it does to the detections that they were fitted on."""
    info, network = load_network(run)
    with tempfile.TemporaryDirectory() as folder:
        scenes = [*_scenes(data, agreement, Path(folder))]
        found = [_look_at(info, network, scene) for scene in tqdm(scenes, unit=" pictures", disable=None)]
    inputs, is_face = (np.concatenate(parts) for parts in zip(*found, strict=True))
    numbers = fit(inputs, is_face).round(2)
    print("SHAPE_LIMIT =", tuple(numbers.tolist()))
    for name, kept in (("one limit", inputs[:, 0] <= 0), ("by shape", inputs[:, 0] <= _limits(numbers, inputs))):
        print(f"{name}: {(kept & is_face).sum()} of {is_face.sum()} faces and {(kept & ~is_face).sum()} false finds")


def fit(inputs: np.ndarray, is_face: np.ndarray) -> np.ndarray:
    """The numbers (3,) of the limit.

    Args:
        inputs: (N, 3) the logarithm of the deviation in units of the largest, the distance from the mean shape, and the
            angle between points and detector in right angles.
        is_face: (N,) bool.
    """
    near = (np.exp(inputs[:, 0]) > NEAR[0]) & (np.exp(inputs[:, 0]) < NEAR[1])
    inputs, is_face = np.column_stack([np.ones(near.sum()), inputs[near]]), is_face[near]
    weights = np.where(is_face, 0.5 / is_face.mean(), 0.5 / (1 - is_face.mean()))
    factors = np.zeros(4)
    for _ in range(50):  # Newton's method
        probable = 1 / (1 + np.exp(-np.clip(inputs @ factors, -30, 30)))
        curvature = inputs.T @ (inputs * (weights * probable * (1 - probable))[:, None]) + 1e-6 * np.eye(4)
        factors = factors + np.linalg.solve(curvature, inputs.T @ (weights * (is_face - probable)))
    return factors[[0, 2, 3]] / -factors[1]


def _limits(numbers: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    return numbers[0] + inputs[:, 1:] @ numbers[1:]


def _scenes(data: Path, agreement: Path, folder: Path) -> Iterator[Scene]:
    hard = read_set(data, "wflw").samples.files
    names = sorted(
        name
        for name in read_json(agreement)
        if not is_held_out(f"wflwphotos/{name}") and not shows_held_out(name, hard)
    )
    for name in SETS:
        yield from (scene for scene in detection_sets.labelled(data, name) if not scene.held_out)
    chosen = set(names[::2]).__contains__
    yield from detection_sets.photographs(data, agreement, chosen)
    yield from detection_sets.backgrounds(data, agreement, folder, np.random.default_rng(0), chosen)


def _look_at(info: ModelInfo, network: Network, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The inputs (N, 3) of `fit` and what is a face (N,), of those detections that are known to be one or none."""
    mean_face, largest = info.mean_face, info.max_deviation
    if not (mean_face and largest):
        raise KpError(f"{info.path} has no mean face or no max_deviation")
    picture = open_photograph(scene.file).upright
    found = NamedDetector(DEFAULT).detect(picture)
    boxes, grey = np.column_stack([found.boxes, found.angles]), picture.convert("L")
    known = [judge(scene, Result(found.boxes[[k]], found.scores[[k]])) for k in range(len(boxes))]
    is_face = np.array([np.isfinite(one.faces).any() for one in known], bool)
    chosen = is_face | np.array([len(one.false) > 0 for one in known], bool)
    if not chosen.any():
        return np.zeros((0, 3)), np.zeros(0, bool)
    crop, sizes = cropper_of(grey, info.recipe.shape), np.repeat([grey.size], len(boxes), axis=0)
    outputs = run_cascade(network, info, crop, boxes, sizes)[chosen]
    distance, apart = unlikeness(mean_face, boxes[chosen], outputs[..., :2])
    deviation = np.log(mean_deviation(outputs[..., 2]) / largest)
    return np.column_stack([deviation, distance, apart]), is_face[chosen]


def main() -> int:
    parser = argparse.ArgumentParser(description="Fit the limit by which false detections are told.")
    add = parser.add_argument
    add("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    add("--agreement", metavar="FILE", type=Path, required=True, help="what benchmarks.agreement wrote")
    add("--run", metavar="RUN", default="compact", help="what Predictor.load takes (default: compact)")
    return exit_status("benchmarks.detection_limit:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
