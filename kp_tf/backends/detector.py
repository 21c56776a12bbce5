"""The network that finds faces, through LiteRT, or through Keras where that is not installed."""

from importlib.util import find_spec
from pathlib import Path

from kp_tf.artifacts.weights import FOLDER
from kp_tf.backends.litert_file import LitertModel
from kp_tf.backends.network import INSTALL, Cells
from kp_tf.core.environment import captured_stderr, set_environment_defaults
from kp_tf.core.errors import KpError


def load_detector(folder: Path = FOLDER) -> Cells:
    """Load `detector.tflite` if LiteRT is installed, otherwise `detector.npz`, which holds the same weights.

    Raises:
        KpError: if neither LiteRT nor TensorFlow is installed, or a file is not that of a detector.
    """
    if find_spec("ai_edge_litert"):
        return LitertModel(folder / "detector.tflite")
    if not find_spec("tensorflow"):
        raise KpError(f"detecting faces needs LiteRT or TensorFlow: {INSTALL}")
    set_environment_defaults()
    with captured_stderr():
        from kp_tf.backends.keras_backend import load_detector_with_keras
    return load_detector_with_keras(folder / "detector.npz")
