"""What detectors have in common: their results, boxes like dlib's, and the removal of doubled detections."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError


@dataclass(frozen=True)
class Detections:
    """N faces, the surest first.

    Attributes:
        boxes: (N, 4) left, top, width, height in pixels of the picture.
        scores: (N,) as the detector has them.
        angles: (N,) in-plane rotation in degrees, clockwise in the picture; NaN if the detector does not tell it.
    """

    boxes: np.ndarray
    scores: np.ndarray
    angles: np.ndarray


def like_dlib(boxes: np.ndarray, angles: np.ndarray, correction: tuple[float, float]) -> np.ndarray:
    """Square boxes about faces, as dlib's are, from another detector's.

    Args:
        boxes: (N, 4).
        angles: (N,) of the faces in degrees, clockwise.
        correction: the shift from the forehead towards the chin in units of the longer sides, and the ratio of the
            sides: medians over faces with labelled boxes.
    """
    shift, scale = correction
    longer = boxes[:, 2:].max(axis=1, keepdims=True)
    down = np.stack([-np.sin(np.radians(angles)), np.cos(np.radians(angles))], axis=1)
    centre = boxes[:, :2] + boxes[:, 2:] / 2 + shift * longer * down
    return np.concatenate([centre - scale * longer / 2, np.repeat(scale * longer, 2, axis=1)], axis=1)


def angles_between(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The angles (N,) in degrees, clockwise, of the lines from left eyes (N, 2) of the picture to right ones."""
    across = right - left
    return np.degrees(np.arctan2(across[:, 1], across[:, 0]))


def package_file(package: str, name: str, install: str) -> Path:
    """A file in an installed package, which is not imported for it.

    Raises:
        KpError: if the package is not installed, or does not have the file.
    """
    spec = find_spec(package)
    folder = Path(next(iter(spec.submodule_search_locations or ()), "")) if spec else Path()
    if spec is None or not (folder / name).is_file():
        raise not_installed(package, install)
    return folder / name


def not_installed(package: str, install: str) -> KpError:
    """The error for a detector whose package is missing."""
    return KpError(f"detecting faces needs {package} ({install}); otherwise pass a box or choose another detector")
