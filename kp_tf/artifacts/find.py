"""The network that a user names."""

import sys
from pathlib import Path

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.runs import newest_run, read_run
from kp_tf.artifacts.weights import FOLDER, WEIGHTS, committed, read_weights


def say_network(info: ModelInfo) -> None:
    """Say on standard error which network a command takes, because the commands have different defaults."""
    print(f"network: {info.name}", file=sys.stderr)


def source_of(info: ModelInfo) -> str:
    """What a user calls a network: its path, or the name of weights that come with the project."""
    return info.name if info.path.parent == FOLDER else str(info.path)


def find_model(named: str | Path | None) -> ModelInfo:
    """The network to use.

    Args:
        named: a run directory, a file that `pack` wrote, or the name of weights that come with the project. None:
            the newest part 3 trained on real faces; without one, the most accurate weights that come with the
            project.

    Raises:
        KpError: if there is no such network.
    """
    if named is None:
        return newest_run(3) or min((committed(name) for name in WEIGHTS), key=lambda info: info.metrics["val_nme"])
    if str(named) in WEIGHTS:
        return committed(str(named))
    path = Path(named)
    return read_weights(path) if path.suffix == ".npz" else read_run(path)
