"""How much of the error on IMM's people 33–40 comes from labels whose points run the wrong way around an eye.

    python -m benchmarks.imm_labels --data DIR --run RUN

RUN is a training of part 2. Prints its mean error in pixels with the labels as they are and with the second eye of six
photographs put in order, each with and without flips.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.core.keypoints import IMM58
from kp_tf.data.datasets import ImmDataset
from kp_tf.data.layout import FOLDERS
from kp_tf.evaluate.metrics import point_errors
from kp_tf.predict.samples import predict_samples

WRONG_WAY = ("33-3m", "36-4m", "36-5m", "36-6m", "39-3m", "40-5m")
SECOND_EYE = np.arange(21, 29)  # its points begin at the corner at the nose and run around the eye
IN_ORDER = np.array([25, 24, 23, 22, 21, 28, 27, 26])  # the same points if they run the other way


def measure(data: Path, run: str) -> None:
    """Print the four errors."""
    samples = ImmDataset(data / FOLDERS["imm"], IMM58).read_split().validation
    mended = samples.labels.copy()
    for face in [i for i, file in enumerate(samples.files) if Path(file).stem in WRONG_WAY]:
        mended[face, SECOND_EYE] = samples.labels[face, IN_ORDER]
    info, network = load_network(run)
    for flips in (False, True):
        predicted = predict_samples(network, samples, info, framed=True, flips=flips)[..., :2]
        errors = [np.nanmean(point_errors(predicted, labels)) for labels in (samples.labels, mended)]
        print(f"{'with' if flips else 'without'} flips: {errors[0]:.2f} px, eyes in order {errors[1]:.2f} px")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", type=Path, required=True)
    parser.add_argument("--run", metavar="RUN", required=True, help="a training of part 2")
    return exit_status("benchmarks.imm_labels:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
