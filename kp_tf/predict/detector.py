"""Face detection. The default is dlib's frontal detector, an optional dependency.

dlib's detector made most boxes of 300-W, so its boxes are like those the networks were trained on. docs/predict.md
compares it with others (`python -m benchmarks.detectors`).
"""

import threading
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from PIL import Image

from kp_tf.core.errors import KpError

Detector: TypeAlias = Callable[[Image.Image], np.ndarray]
"""From an upright RGB picture to the boxes (N, 4) of its faces: left, top, width, height in pixels; N may be 0."""

SEARCH_SIZE = 1600  # pixels of the longer side; smaller photographs are enlarged, at most twice
INSTALL = "pip install dlib-bin"

_local = threading.local()  # dlib's detector must not be shared between threads


def dlib_faces(picture: Image.Image) -> np.ndarray:
    """Detect faces with dlib.

    It misses faces in profile or upside down, and those smaller than 80 pixels at the search size.

    Args:
        picture: an upright RGB picture.

    Returns:
        The boxes (N, 4): left, top, width, height in pixels.

    Raises:
        KpError: if dlib is not installed.
    """
    try:
        import dlib
    except ImportError:
        raise KpError(f"detecting faces needs dlib ({INSTALL}); otherwise pass a box") from None
    if not hasattr(_local, "detector"):
        _local.detector = dlib.get_frontal_face_detector()  # pyright: ignore[reportAttributeAccessIssue]
    scale = min(2.0, SEARCH_SIZE / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    rectangles = _local.detector(np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)), 0)
    boxes = np.array([(r.left(), r.top(), r.width(), r.height()) for r in rectangles], np.float64)
    return boxes.reshape(-1, 4) / scale
