"""How far the confidence of `compact` is off when it is calibrated on few faces.

    python -m benchmarks.calibration --data DIR

Fits the calibration on N random validation faces of 300-W, and compares the mean confidence on the other faces with the
share of their points that are near. Prints the quartiles of the difference over many draws, and its 95th percentile.
"""

import argparse
import sys

import numpy as np

from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.data.datasets import IbugDataset, find_data
from kp_tf.predict import confidence
from kp_tf.predict.samples import predict_samples

SIZES = (4, 7, 10, 15, 20, 30, 48, 100)
DRAWS = 300


def measure(data: str | None, sizes: list[int], draws: int) -> None:
    """Print the differences for each number of faces."""
    info, network = load_network("compact")
    samples = IbugDataset(find_data(data, "ibug").folder("ibug")).read_split().validation
    outputs = predict_samples(network, samples, info)
    errors = confidence.errors_in_crops(outputs[..., :2], samples.labels, samples.boxes, info.recipe.crop_scale or 1.0)
    for size in sizes:
        gaps = differences(outputs[..., 2], errors, size, draws)
        values = ", ".join(f"{100 * value:.1f} %" for value in np.percentile(gaps, [25, 50, 75, 95]))
        print(
            f"{size} faces, {len(gaps)} of {draws} draws calibrate: quartiles and 95th percentile {values}", flush=True
        )


def differences(variance: np.ndarray, errors: np.ndarray, size: int, draws: int) -> np.ndarray:
    """The difference of mean confidence and share of near points on the faces that a draw leaves, for each draw.

    Args:
        variance: (N, K), in units of the crop's side.
        errors: (N, K) likewise.
        size: faces that are drawn to calibrate on, fewer than N.
        draws: how many; those that cannot be calibrated on are left out.
    """
    rng, gaps = np.random.default_rng(0), []
    for _ in range(draws):
        order = rng.permutation(len(errors))
        drawn, others = order[:size], order[size:]
        if fit := confidence.fit(variance[drawn], errors[drawn]):
            near = np.mean(errors[others] <= confidence.NEAR)
            gaps.append(abs(confidence.confidence_of(variance[others], fit).mean() - near))
    return np.array(gaps)


def main() -> int:
    parser = argparse.ArgumentParser(description="Calibration of the confidence on few faces.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", metavar="N", type=int, default=DRAWS)
    return exit_status("benchmarks.calibration:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
