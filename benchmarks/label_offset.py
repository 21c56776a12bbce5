"""How far 300-W's labels lie to the right of a network's points, by folder and by size of the face.

    python -m benchmarks.label_offset --data DIR --run RUN

A network that is trained on mirrored faces, whose labels are mirrored about the middle of the picture, cannot learn an
offset that all labels have to one side: it predicts the middle between both. Prints the mean of label minus prediction
along x and y in pixels of the files, with its standard error, for the training faces; and the NME on the validation
faces if the points are moved to the right by shares of the box.
"""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.report import OUTER_EYES
from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.layout import FOLDERS
from kp_tf.evaluate.metrics import nme
from kp_tf.predict.samples import predict_samples

SIZES = (0, 100, 150, 200, 222, np.inf)  # of the box's longer side, in pixels; 224 is the largest of the files at hand
SHARES = (0.0, 0.002, 0.004, 0.006)


def measure(data: Path, run: str) -> None:
    """Print the offsets and the errors."""
    split = IbugDataset(data / FOLDERS["ibug"]).read_split()
    info, network = load_network(run)
    training = split.training
    predicted = predict_samples(network, training, info, flips=True)[..., :2]
    print(f"training faces: NME {_percent(predicted, training.labels):.2f} %")
    offsets = np.nanmean(training.labels - predicted, axis=1)  # (N, 2)
    sides = training.boxes[:, 2:].max(axis=1)
    folders = np.array([file.split("/")[0] for file in training.files])
    groups = {"all": sides > 0, **{name: folders == name for name in np.unique(folders)}}
    groups |= {f"{low} to {high} pixels": (sides >= low) & (sides < high) for low, high in pairwise(SIZES)}
    for name, chosen in groups.items():
        mean, error = offsets[chosen].mean(axis=0), offsets[chosen].std(axis=0) / np.sqrt(chosen.sum())
        print(f"{name:18} {chosen.sum():5} faces: {mean[0]:5.2f} ± {error[0]:.2f}, {mean[1]:5.2f} ± {error[1]:.2f} px")
    validation = split.validation
    predicted = predict_samples(network, validation, info, flips=True)[..., :2]
    sides = validation.boxes[:, 2:].max(axis=1)
    for share in SHARES:
        moved = predicted + np.array([share, 0.0]) * sides[:, None, None]
        print(f"moved by {share:.3f} of the box: NME {_percent(moved, validation.labels):.2f} %")


def _percent(points: np.ndarray, labels: np.ndarray) -> float:
    return 100 * float(np.nanmean(nme(points, labels, OUTER_EYES)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", type=Path, required=True)
    parser.add_argument("--run", metavar="RUN", required=True, help="what Predictor.load takes, with 68 points")
    return exit_status("benchmarks.label_offset:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
