"""The options of `kp-tf train-detector`."""

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser; they are the arguments of `train.train`."""
    add = parser.add_argument
    add("--pictures", metavar="FILE", type=Path, required=True, help="JSON of pictures and the faces in them")
    add("--out", metavar="DIR", type=Path, required=True, help="run directory; a training in it that has begun goes on")
    add("--init", metavar="DIR", type=Path, help="start from the weights of the training in this directory")
    add("--epochs", metavar="N", type=int, default=30, help="(default: 30)")
    add("--steps", metavar="N", type=int, default=200, help="batches in an epoch (default: 200)")
    add("--batch", metavar="N", type=int, default=32, help="canvases in a batch (default: 32)")
    add("--rate", metavar="X", type=float, default=2e-3, help="highest learning rate (default: 0.002)")
    add("--seed", metavar="N", type=int, default=0, help="of the weights and the canvases (default: 0)")
    add("--processes", metavar="N", type=int, default=1, help="that draw canvases (default: 1)")
