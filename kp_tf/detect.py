"""Faces in photographs: boxes as the networks were trained on, from dlib's frontal detector, an extra."""

import numpy as np
from PIL import Image

from kp_tf.errors import KpError

INSTALL = "pip install 'kp-tf[detect]'"


def find_faces(picture: Image.Image) -> np.ndarray:
    """Boxes (N, 4) of the faces in an upright RGB picture, left, top, width, height in pixels; N may be 0.

    Raises:
        KpError: if the extra is not installed.
    """
    try:
        import dlib
    except ImportError:
        raise KpError(f"finding faces needs dlib: {INSTALL}; or give a box") from None
    detector = dlib.get_frontal_face_detector()
    found = detector(np.asarray(picture), 1)
    return np.array([(r.left(), r.top(), r.width(), r.height()) for r in found], np.float64).reshape(-1, 4)
