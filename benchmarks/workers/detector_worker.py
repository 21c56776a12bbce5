"""One of this project's detectors as a worker, alone or with a network that discards what is no face."""

import numpy as np
from PIL import Image
from protocol import serve, settings, timed

from kp_tf.predict.detectors import NamedDetector
from kp_tf.predict.detectors.boxes import Detections
from kp_tf.predict.predictor import Predictor

SETTINGS = settings()
DETECTOR = NamedDetector(SETTINGS["detector"], SETTINGS["threshold"])
FOUND = []  # what the detector has just given to the network


def remembering(picture):
    """Detect as `Predictor` wants it."""
    FOUND.append(DETECTOR.detect(picture))
    return np.column_stack([FOUND[0].boxes, np.nan_to_num(FOUND[0].angles)])


NETWORK = Predictor.load(SETTINGS["check"], remembering) if SETTINGS["check"] else None


def detect(file):
    """Return the boxes (N, 4) in an image file, their scores (N,) and angles (N,), and the seconds from the decoded
    image to the boxes."""
    found, seconds = timed(find, Image.open(file).convert("RGB"))
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "angles": found.angles.tolist(),
        "seconds": seconds,
    }


def find(picture):
    """What the detector finds and the network, if there is one, does not discard."""
    if not NETWORK:
        return DETECTOR.detect(picture)
    boxes = [face.box for face in NETWORK.predict(picture)]
    found = FOUND.pop()
    kept = [any(np.allclose(box, other) for other in boxes) for box in found.boxes]
    return Detections(found.boxes[kept], found.scores[kept], found.angles[kept])


def describe():
    """Return the detector's own threshold and the correction of its boxes: none is no shift and the scale 1."""
    module = DETECTOR.module
    return {"threshold": module.THRESHOLD, "correction": getattr(module, "CORRECTION", (0.0, 1.0))}


serve(detect, describe)
