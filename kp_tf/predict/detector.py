"""Faces in photographs, by dlib's frontal detector: an extra.

It made most boxes of 300-W, so its boxes are as the networks know them; it needs no other package, and is fast.
Why not another: docs/predict.md, from `python -m benchmarks.detectors`.
"""

import threading

import numpy as np
from PIL import Image

from kp_tf.core.errors import KpError

SIDE = 1600  # pixels: photographs are searched at this longer side, enlarged twice at most
INSTALL = "pip install dlib-bin"

_own = threading.local()  # a detector is no thing to share between threads


def find_faces(picture: Image.Image) -> np.ndarray:
    """Boxes (N, 4) of the faces in an upright RGB picture, left, top, width, height in pixels; N may be 0.

    Faces turned far to the side or upside down, and those under 80 pixels of the size that is searched, are missed.

    Raises:
        KpError: if the extra is not installed.
    """
    try:
        import dlib
    except ImportError:
        raise KpError(f"finding faces needs dlib: {INSTALL}; or give a box") from None
    if not hasattr(_own, "detector"):
        _own.detector = dlib.get_frontal_face_detector()
    scale = min(2.0, SIDE / max(picture.size))
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    found = _own.detector(np.asarray(picture.resize(size, Image.Resampling.BILINEAR)), 0)
    boxes = np.array([(r.left(), r.top(), r.width(), r.height()) for r in found], np.float64)
    return boxes.reshape(-1, 4) / scale
