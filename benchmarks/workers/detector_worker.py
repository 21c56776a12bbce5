"""One of this project's detectors as a worker."""

from PIL import Image
from protocol import serve, settings, timed

from kp_tf.predict.detectors import NamedDetector

SETTINGS = settings()
DETECTOR = NamedDetector(SETTINGS["detector"], SETTINGS["threshold"])


def detect(file):
    """Return the boxes (N, 4) in an image file, their scores (N,) and angles (N,), and the seconds from the decoded
    image to the boxes."""
    found, seconds = timed(DETECTOR.detect, Image.open(file).convert("RGB"))
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "angles": found.angles.tolist(),
        "seconds": seconds,
    }


def describe():
    """Return the detector's own threshold and the correction of its boxes: none is no shift and the scale 1."""
    module = DETECTOR.module
    return {"threshold": module.THRESHOLD, "correction": getattr(module, "CORRECTION", (0.0, 1.0))}


serve(detect, describe)
