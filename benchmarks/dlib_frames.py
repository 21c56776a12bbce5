"""dlib's detector and 68-point predictor on each frame of a clip for itself, as a process: see `turns.Side`.

Runs in dlib's virtual environment. Times go from the decoded frame to the points; what is loaded once is loaded
before.
"""

import json
import sys
import time
from importlib.metadata import version

import dlib
import numpy as np
from peer import package

MODEL = package("face_recognition_models") / "models" / "shape_predictor_68_face_landmarks.dat"
DETECTOR, PREDICTOR = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(MODEL))


def follow(file: str) -> dict:
    """Frames (T, H, W, 3) of a .npy to the points (K, 2) of all faces in each, and its seconds."""
    points, seconds = [], []
    for frame in np.load(file):
        start = time.perf_counter()
        found = [PREDICTOR(frame, box).parts() for box in DETECTOR(frame, 0)]
        points.append([[(part.x, part.y) for part in parts] for parts in found])
        seconds.append(time.perf_counter() - start)
    return {"points": points, "seconds": seconds}


def versions() -> dict:
    return {"dlib": version("dlib-bin")}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not be taken for an answer
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"follow": follow, "versions": versions}[request.pop("do")](**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
