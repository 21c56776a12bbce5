"""Face detectors behind one small protocol. One comes with this package, the others from optional packages, which are
imported at the first use.

All of them give boxes like dlib's, which made most boxes of 300-W: they are moved and scaled by the median difference
that `python -m benchmarks.detectors` measures. docs/predict.md compares them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.predict.detectors.boxes import Detections

Detector: TypeAlias = Callable[[Image.Image], np.ndarray]
"""From an upright RGB picture to the boxes (N, 4) of its faces: left, top, width, height in pixels; N may be 0.

They may have a fifth column: the in-plane rotation of the faces in degrees, clockwise in the picture; NaN if the
detector does not tell it.
"""

MODULES = {  # by the names that users give
    "builtin": "builtin",
    "dlib": "dlib_hog",
    "centerface": "centerface",
    "mediapipe": "blazeface",
}
DEFAULT = "builtin"


@dataclass(frozen=True)
class NamedDetector:
    """One of MODULES as a `Detector`; it can be pickled, and threads may share it.

    Attributes:
        name: one of MODULES, or the directory of a run of `kp-tf train-detector`.
        threshold: of the score from which something counts as a face; None: the detector's own.
    """

    name: str
    threshold: float | None = None

    def __call__(self, picture: Image.Image) -> np.ndarray:
        """Detect faces in an upright RGB picture: their boxes (N, 5) with angles, NaN where these are not known.

        Raises:
            KpError: if a package that it needs is not installed.
        """
        found = self.detect(picture)
        return np.column_stack([found.boxes, found.angles])

    def detect(self, picture: Image.Image) -> Detections:
        """The same with scores and angles. Raises KpError likewise."""
        threshold = self.module.THRESHOLD if self.threshold is None else self.threshold
        run = [] if self.name in MODULES else [Path(self.name)]
        return self.module.detect(picture, threshold, *run)

    @property
    def module(self) -> ModuleType:
        """The module with its function `detect`, its THRESHOLD and, if it needs one, the CORRECTION of its boxes."""
        return import_module(f"{__name__}.{MODULES.get(self.name, 'builtin')}")


def find_detector(detector: str | Detector) -> Detector:
    """The detector of a name or of a run's directory; any other is returned as it is.

    Raises:
        KpError: if there is none of this name.
    """
    if not isinstance(detector, str):
        return detector
    if detector not in MODULES and not Path(detector).is_dir():
        raise KpError(f"there is no detector {detector!r}, but {', '.join(MODULES)}, or a run of train-detector")
    return NamedDetector(detector)


def check_installed(detector: str | Detector) -> None:
    """Load what a detector needs, if it has a name, so that a missing package is reported once and early.

    Raises:
        KpError: if there is none of this name, or a package is missing.
    """
    found = find_detector(detector)
    if isinstance(found, NamedDetector):
        found(Image.new("RGB", (32, 32)))
