"""MediaPipe's FaceMesh as a worker."""
# pyright: reportMissingImports=false

from functools import cache
from pathlib import Path

import cv2
import mediapipe
import numpy as np
from protocol import serve, timed

# iBUG's 68 points among FaceMesh's 468, the mapping in common use; those of the jaw are near, not the same
IBUG68 = [
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),
]
MODULES = Path(str(mediapipe.__file__)).parent / "modules"
MODELS = (
    MODULES / "face_landmark" / "face_landmark.tflite",
    MODULES / "face_detection" / "face_detection_short_range.tflite",
)
MESH = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1)


def landmarks(faces):
    """Return the points (N, 68, 2) of faces [file, box] in pixels, the seconds, and the bytes of the models.

    FaceMesh gets a crop of twice the box. Where its own detector finds no face there, the points are NaN.
    """
    points, seconds = timed(lambda: [_points(*face) for face in faces])
    return {"points": points, "seconds": seconds, "bytes": sum(model.stat().st_size for model in MODELS)}


def _points(file, box):
    image = cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB)
    left, top, width, height = box
    side = round(2 * max(width, height))
    x, y = round(left + (width - side) / 2), round(top + (height - side) / 2)
    padded = cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_CONSTANT)
    crop = np.ascontiguousarray(padded[y + side : y + 2 * side, x + side : x + 2 * side])
    meshes = MESH.process(crop).multi_face_landmarks
    if not meshes:
        return np.full((68, 2), np.nan).tolist()
    points = meshes[0].landmark
    return [(points[k].x * side + x - 0.5, points[k].y * side + y - 0.5) for k in IBUG68]


def find(file):
    """Return the points (N, 68, 2) of the faces that are found in an image file, and the seconds."""
    found, seconds = timed(_find, file)
    return {"points": found, "seconds": seconds}


def _find(file):
    image = cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    meshes = [mesh.landmark for mesh in _mesh_of_many().process(image).multi_face_landmarks or ()]
    return [[(points[k].x * width - 0.5, points[k].y * height - 0.5) for k in IBUG68] for points in meshes]


@cache
def _mesh_of_many():
    return mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=10)


serve(landmarks, find)
