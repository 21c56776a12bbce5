"""The options of `kp-tf train`."""

import argparse
from pathlib import Path

from kp_tf.core.choices import KEEP, LABELS, OUTSIDE, PACKED_RUN, PRECISIONS

MORE = "train on these labelled faces as well, on their points of the same names; repeatable"
MORE_VAL = "score these labelled faces as well, and calibrate the confidence on them; repeatable"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser; they are the arguments of `cli.train`."""
    faces = parser.add_argument_group("what to train on")
    kind = faces.add_mutually_exclusive_group()
    kind.add_argument(
        "--part",
        type=int,
        choices=(1, 2, 3),
        help="part of the course: 1 nose tip, 2 IMM's 58 points, 3 iBUG's 68 points",
    )
    kind.add_argument("--labels", metavar="PATH", type=Path, help=f"points of your own, instead of a part: {LABELS}")
    add = faces.add_argument
    add(
        "--data",
        metavar="DIR",
        help="with --part: folder of the data sets (default: $KP_TF_DATA, or data), or `sample` for synthetic faces",
    )
    add(
        "--val-labels",
        metavar="PATH",
        type=Path,
        help="with --labels: validate on these (default: on a tenth of the photographs)",
    )
    add("--scheme", metavar="JSON", dest="scheme_file", type=Path, help="with --labels: names, flip pairs and eyes")
    add("--add", metavar="PATH", type=Path, action="append", help=f"with --part 3 or --labels: {MORE}")
    add("--add-val", metavar="PATH", type=Path, action="append", help=f"with --part 3 or --labels: {MORE_VAL}")
    add("--skip-bad", action="store_true", help="leave out photographs that cannot be used, instead of stopping")
    add("--allow-outside", action="store_true", help=f"with --labels, --add or --add-val: {OUTSIDE}")
    _add_settings(parser)
    directory = parser.add_argument_group("run directory")
    out = "default: the next free runs/partN-RECIPE-NNN or runs/labels-RECIPE-NNN"
    directory.add_argument("--out", metavar="DIR", type=Path, help=out)
    existing = directory.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="let --out replace an existing run")
    existing.add_argument("--resume", action="store_true", help="continue --out, or the newest unfinished run")
    submit = "with --part 3: write the submission as well, as the command submit does"
    directory.add_argument("--submit", metavar="CSV", type=Path, help=submit)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how to train").add_argument
    add(
        "--recipe",
        choices=("course", "strong", "large"),
        help="default: course with --part, strong with --labels; large is for part 3",
    )
    add("--init", metavar="RUN", help=f"start from the weights of {PACKED_RUN}")
    add("--teacher", metavar="RUN", help=f"learn also from the predictions of {PACKED_RUN}")
    add(
        "--epochs",
        metavar="N",
        type=int,
        help="total number of epochs (default: the recipe's); with --resume maybe more",
    )
    add(
        "--keep",
        choices=KEEP,
        help="keep the weights of the last epoch, or of the one with the lowest validation loss "
        "(default: last with --part, best with --labels)",
    )
    add("--batch-size", metavar="N", type=int, help="photographs per step (default: the recipe's)")
    add("--learning-rate", metavar="R", type=float, help="initial learning rate (default: the recipe's)")
    add(
        "--precision",
        choices=PRECISIONS,
        help="auto takes bfloat16 on hardware that computes it fast (default: float32 for course, auto otherwise)",
    )
    add("--seed", metavar="N", type=int, help="seed of weights, order and augmentation (default: 0)")
    add("--devices", metavar="N", type=int, help="number of GPUs that share each batch (default: all)")
    add("--deterministic", action="store_true", help="reach the same weights to the last bit in every run; slower")
