"""Train one part: python train.py --part 2"""

import argparse
import sys
from pathlib import Path

from kp_tf.core.environment import PRECISIONS, exit_status


def main() -> int:
    parser = argparse.ArgumentParser(description="Train one part of the course's facial keypoints, or own points.")
    add = parser.add_argument
    add("--part", type=int, choices=(1, 2, 3), help="1 nose, 2 IMM, 3 iBUG 300-W")
    add("--labels", metavar="XML", type=Path, help="instead of --part: own points in dlib's layout")
    add("--val-labels", metavar="XML", type=Path, help="for validation (default: a tenth of the photographs)")
    add("--scheme", metavar="JSON", type=Path, help="names, mirror partners and eyes of own points")
    add(
        "--recipe",
        choices=("course", "strong", "large"),
        help="default: course; with --labels strong; large: part 3 only",
    )
    add("--init", metavar="FROM", help="start from a run, compact or large")
    add("--teacher", metavar="FROM", help="learn from the points of a run, compact or large beside the marks")
    add("--data", metavar="DIR", help="folder of the data sets, or `sample` for drawn faces")
    add("--out", metavar="DIR", type=Path, help="run directory (default: runs/partN-RECIPE-001 …)")
    add("--epochs", metavar="N", type=int, help="in all, instead of the recipe's")
    add("--batch-size", metavar="N", type=int, help="instead of the recipe's")
    add("--learning-rate", metavar="R", type=float, help="instead of the recipe's")
    add("--precision", choices=PRECISIONS, help="auto: by the hardware (default; recipe course: float32)")
    add("--seed", metavar="N", type=int, help="weights, order and augmentation (default: 0)")
    add("--devices", metavar="N", type=int, help="GPUs that share each batch (default: all)")
    add("--deterministic", action="store_true", help="the same weights to the last bit, slower")
    add("--skip-bad", action="store_true", help="leave out photographs that cannot be used")
    add("--overwrite", action="store_true", help="let --out replace a run")
    add("--resume", action="store_true", help="go on with --out, else with the newest unfinished run")
    return exit_status("kp_tf.training.train:train", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
