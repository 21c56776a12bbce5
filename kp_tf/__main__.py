"""python -m kp_tf: what is not training or the competition."""

import argparse
import sys
from pathlib import Path

from kp_tf import __version__
from kp_tf.shell import PRECISIONS, exit_status


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m kp_tf",
        description="Facial keypoints. Training is `python train.py`, the competition `python predict_kaggle.py`.",
    )
    parser.add_argument("--version", action="version", version=f"kp_tf {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    download = commands.add_parser("download", help="fetch and unpack a published data set")
    download.add_argument("archive", choices=("imm", "ibug"), help="the IMM face database, or iBUG 300-W (1.7 GB)")
    download.add_argument("--data", metavar="DIR", type=Path, default=Path("data"), help="default: data/")
    evaluate = commands.add_parser("evaluate", help="score a network on labelled photographs")
    evaluate.add_argument("--labels", metavar="PATH", type=Path, required=True, help="dlib's XML, or IMM's folder")
    evaluate.add_argument("--run", metavar="RUN", help="a run directory, compact or large (default: newest part 3)")
    evaluate.add_argument("--split", choices=("all", "validation"), default="all", help="default: all")
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write numbers, CED plot and faces")
    evaluate.add_argument("--precision", choices=PRECISIONS, default="float32", help="default: float32")
    evaluate.add_argument("--flips", action="store_true", help="mean with the prediction of the mirrored face")
    pack = commands.add_parser("pack", help="write a run's weights as one small file, in half precision")
    pack.add_argument("--run", metavar="DIR", type=Path, required=True, help="a completed run")
    pack.add_argument("--out", metavar="FILE", type=Path, required=True, help="the .npz to write")
    arguments = vars(parser.parse_args())
    return exit_status(COMMANDS[arguments.pop("command")], **arguments)


COMMANDS = {
    "download": "kp_tf.readers.archives:download",
    "evaluate": "kp_tf.evaluation:evaluate",
    "pack": "kp_tf.predictor:pack",
}

if __name__ == "__main__":
    sys.exit(main())
