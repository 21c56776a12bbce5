"""This project's `Predictor` as a worker: networks that come as an exported file run without TensorFlow."""

from protocol import serve, settings, timed

from kp_tf.predict.detectors import DEFAULT
from kp_tf.predict.predictor import Predictor

SETTINGS = settings()
PREDICTOR = Predictor.load(SETTINGS["network"], SETTINGS.get("detector", DEFAULT))


def landmarks(faces):
    """Return the points (N, 68, 2) of faces [file, box] in pixels, the seconds, and the bytes of the network."""
    points, seconds = timed(_points, faces)
    return {"points": points, "seconds": seconds, "bytes": PREDICTOR.info.path.stat().st_size}


def _points(faces):
    if len(faces) == 1:
        ((file, box),) = faces
        return [PREDICTOR.predict(file, [box])[0].points.tolist()]
    files, boxes = zip(*([file, [box]] for file, box in faces), strict=True)
    return [predicted[0].points.tolist() for predicted in PREDICTOR.predict_batch(files, boxes)]


def find(file):
    """Return the points (N, 68, 2) of the faces that are found in an image file, and the seconds."""
    faces, seconds = timed(PREDICTOR.predict, file)
    return {"points": [face.points.tolist() for face in faces], "seconds": seconds}


serve(landmarks, find)
