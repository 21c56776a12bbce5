"""Train one part: python train.py --part 2"""

import argparse
import sys
from pathlib import Path

from kp_tf.shell import exit_status


def main() -> int:
    parser = argparse.ArgumentParser(description="Train one part of the course's facial keypoints.")
    parser.add_argument("--part", type=int, choices=(1, 2, 3), required=True, help="1 nose, 2 IMM, 3 iBUG 300-W")
    parser.add_argument("--recipe", choices=("course", "strong"), default="course", help="strong: part 3 alone")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets, or `sample` for drawn faces")
    parser.add_argument("--out", metavar="DIR", type=Path, help="run directory (default: runs/partN-RECIPE-001 …)")
    parser.add_argument("--epochs", metavar="N", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-size", metavar="N", type=int, help="instead of the recipe's")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="weights, order and augmentation")
    parser.add_argument("--overwrite", action="store_true", help="let --out replace a run")
    return exit_status("kp_tf.training:train", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
