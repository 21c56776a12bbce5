"""dlib's frontal detector: histograms of oriented gradients and support vector machines.

It made most boxes of 300-W, so its boxes are those that the networks were trained on. It misses faces in profile or
tilted by more than about 30°, and those smaller than 80 pixels at the search size.
"""

import threading

import numpy as np
from PIL import Image

from kp_tf.predict.detectors.boxes import Detections, not_installed

THRESHOLD = 0.0
SEARCH_SIZE = 1600  # pixels of the longer side; smaller photographs are enlarged, at most twice
INSTALL = "pip install dlib-bin"

_local = threading.local()  # dlib's detector must not be shared between threads


def detect(picture: Image.Image, threshold: float = THRESHOLD) -> Detections:
    """Detect faces in an upright RGB picture. Raises KpError if dlib is not installed."""
    try:
        import dlib
    except ImportError:
        raise not_installed("dlib", INSTALL) from None
    if not hasattr(_local, "detector"):
        _local.detector = dlib.get_frontal_face_detector()  # pyright: ignore[reportAttributeAccessIssue]
    scale = min(2.0, SEARCH_SIZE / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    rectangles, scores, _ = _local.detector.run(pixels, 0, threshold)
    boxes = np.array([(r.left(), r.top(), r.width(), r.height()) for r in rectangles], np.float64)
    return Detections(boxes.reshape(-1, 4) / scale, np.array(scores), np.full(len(scores), np.nan))
