"""Write the competition's CSV from a trained part 3: python predict_kaggle.py"""

import argparse
import sys
from pathlib import Path

from kp_tf.core.environment import PRECISIONS, exit_status


def main() -> int:
    parser = argparse.ArgumentParser(description="Predict 68 points on the test photographs and write the CSV.")
    parser.add_argument("--run", metavar="RUN", help="a part 3, compact or large (default: the newest run)")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets, or `sample` for drawn faces")
    parser.add_argument("--labels", metavar="XML", type=Path, help="photographs and boxes in dlib's layout")
    parser.add_argument("--out", metavar="CSV", type=Path, help="default: submission.csv")
    parser.add_argument(
        "--flips",
        action=argparse.BooleanOptionalAction,
        help="mean with the prediction of the mirrored face (default: for all but the recipe course)",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="default: float32")
    parser.add_argument("--shard", metavar="I/N", help="predict the I-th of N parts alone, on any machine")
    parser.add_argument("--merge", action="store_true", help="join the parts, once all lie in one folder")
    return exit_status("kp_tf.apps.kaggle:predict_kaggle", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
