"""Networks for landmarks through LiteRT."""

from pathlib import Path

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import parse_description
from kp_tf.backends.litert_file import LitertModel
from kp_tf.backends.network import Network, check_tensors, pad_variance


def load_litert(path: Path) -> tuple[ModelInfo, Network]:
    """Load a `.tflite` that `export` wrote.

    Raises:
        KpError: if it is another file or was changed, or if `ai-edge-litert` is not installed.
    """
    model = LitertModel(path)
    info = parse_description(path, model.description)
    check_tensors(info, *model.tensors)
    return info, lambda images: pad_variance(model(images))
