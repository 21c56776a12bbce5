"""The detector of faces in a site: its network for squares of one size, because LiteRT.js takes no other shapes."""

from pathlib import Path

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import FOLDER
from kp_tf.backends.flatbuffer import pack, unpack
from kp_tf.core.centres import CHANNELS, STRIDE
from kp_tf.core.keypoints import IBUG68
from kp_tf.predict.detectors.builtin import SIDES

FILE = FOLDER / "detector.tflite"


def detector_networks(info: ModelInfo, path: Path = FILE) -> dict[int, bytes]:
    """The detector's network for squares of each size, by their sides.

    Args:
        info: of the network that predicts the points.
        path: the detector's network for pictures of every size, as LiteRT.

    Returns:
        Nothing if the network is not one of faces.
    """
    if info.scheme != IBUG68:
        return {}
    content = path.read_bytes()
    return {side: for_squares(content, side) for side in SIDES}


def for_squares(content: bytes, side: int) -> bytes:
    """A detector's network, as LiteRT, with input (1, side, side, 1)."""
    model = unpack(content)
    graph, cells = model.subgraphs[0], side // STRIDE
    shapes = {graph.inputs[0]: [1, side, side, 1], graph.outputs[0]: [1, cells, cells, CHANNELS]}
    for place, shape in shapes.items():  # the runtime derives all others from the input's
        graph.tensors[place].shape, graph.tensors[place].shapeSignature = shape, None
    return pack(model)
