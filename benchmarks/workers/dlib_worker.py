"""dlib as a worker: its frontal face detector, its 68-point predictor, and the training of a predictor."""
# pyright: reportAttributeAccessIssue=false

import tempfile
from functools import cache
from importlib.metadata import distribution, version
from pathlib import Path
from xml.etree import ElementTree

import dlib
import numpy as np
from PIL import Image
from protocol import serve, settings, timed

SETTINGS = settings()
# located without importing the package, which needs setuptools
PACKAGE = distribution("face_recognition_models")
MODEL = Path(str(PACKAGE.locate_file("face_recognition_models/models/shape_predictor_68_face_landmarks.dat")))


@cache
def _detector():
    return dlib.get_frontal_face_detector()


@cache
def _predictor():
    return dlib.shape_predictor(str(MODEL))


def detect(file):
    """Return the boxes (N, 4) in an image file, and the seconds from the decoded image to the boxes.

    The detector searches the image after doubling its size as often as the setting `upsampling` says.
    """
    boxes, seconds = timed(_boxes, _detector(), Image.open(file).convert("RGB"))
    return {"boxes": boxes, "seconds": seconds}


def _boxes(detector, image):
    return [(r.left(), r.top(), r.width(), r.height()) for r in detector(np.asarray(image), SETTINGS["upsampling"])]


def landmarks(faces):
    """Return the points (N, 68, 2) of faces [file, box] in pixels, the seconds, and the bytes of the model."""
    predictor = _predictor()
    points, seconds = timed(lambda: [_points(predictor, dlib.load_rgb_image(file), box) for file, box in faces])
    return {"points": points, "seconds": seconds, "bytes": MODEL.stat().st_size}


def find(file):
    """Return the points (N, 68, 2) of the faces that are found in an image file, and the seconds."""
    detector, predictor = _detector(), _predictor()

    def points():
        pixels = dlib.load_rgb_image(file)
        return [_coordinates(predictor(pixels, box)) for box in detector(pixels, SETTINGS["upsampling"])]

    found, seconds = timed(points)
    return {"points": found, "seconds": seconds}


def track(file):
    """Return for each frame of a `.npy` (T, H, W, 3) the points (K, 2) of all its faces, and the seconds."""
    detector, predictor = _detector(), _predictor()
    frames = [timed(_track_frame, detector, predictor, frame) for frame in np.load(file)]
    return {"points": [points for points, _ in frames], "seconds": [seconds for _, seconds in frames]}


def _track_frame(detector, predictor, frame):
    return [_coordinates(predictor(frame, box)) for box in detector(frame, 0)]


def train(labels, test, oversampling, depth):
    """Train a predictor on one XML in dlib's layout and apply it to the boxes of another.

    Returns:
        The points (N, K, 2) of the test boxes in their order, parts sorted by name, and the seconds of training.
    """
    options = dlib.shape_predictor_training_options()
    options.oversampling_amount, options.tree_depth, options.be_verbose = oversampling, depth, False
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "model.dat")
        _, seconds = timed(dlib.train_shape_predictor, labels, model, options)
        predictor = dlib.shape_predictor(model)
    points = []
    for image in ElementTree.parse(test).getroot().iter("image"):
        pixels = dlib.load_rgb_image(str(Path(test).parent / image.get("file", "")))
        for box in image.iter("box"):
            sides = [int(box.get(name, "")) for name in ("left", "top", "width", "height")]
            points.append(_points(predictor, pixels, sides))
    return {"points": points, "seconds": seconds}


def _points(predictor, pixels, box):
    left, top, width, height = (round(value) for value in box)
    return _coordinates(predictor(pixels, dlib.rectangle(left, top, left + width - 1, top + height - 1)))


def _coordinates(shape):
    return [(part.x, part.y) for part in shape.parts()]


def versions():
    """Return the version of dlib."""
    return {"dlib": version("dlib-bin")}


serve(detect, landmarks, find, track, train, versions)
