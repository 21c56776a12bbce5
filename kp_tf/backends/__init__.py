"""Networks for prediction: Keras, LiteRT or ONNX Runtime behind one function, each imported only if it is used."""

from importlib.util import find_spec
from pathlib import Path

from kp_tf.artifacts.find import find_model
from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import FOLDER, WEIGHTS
from kp_tf.backends.network import INSTALL, Network
from kp_tf.core.environment import captured_stderr, set_environment_defaults
from kp_tf.core.errors import KpError

EXPORTED = (".tflite", ".onnx")


def load_network(source: str | Path | None) -> tuple[ModelInfo, Network]:
    """Load a network and its description.

    Args:
        source: a run directory, a file of `export` or `pack`, or the name of weights that come with the project:
            through LiteRT if there is a `.tflite` of them and `ai-edge-litert` is installed, otherwise through
            Keras. None: `compact`.

    Raises:
        KpError: if there is no such network, or what computes it is not installed.
    """
    named = str(source or "compact")
    if named in WEIGHTS and (FOLDER / f"{named}.tflite").is_file() and find_spec("ai_edge_litert"):
        named = str(FOLDER / f"{named}.tflite")
    path = Path(named)
    if path.suffix == ".tflite":
        from kp_tf.backends.litert import load_litert

        return load_litert(path)
    if path.suffix == ".onnx":
        from kp_tf.backends.onnx import load_onnx

        return load_onnx(path)
    info = find_model(named)
    return info, load_with_keras(info)


def load_with_keras(info: ModelInfo, precision: str = "float32") -> Network:
    """`keras_backend.load_keras_network`, with TensorFlow imported only now and its start-up messages held back.

    Raises:
        KpError: also if TensorFlow is not installed.
    """
    if not find_spec("tensorflow"):
        raise KpError(f"{info.path} needs TensorFlow, or an exported file and its runtime: {INSTALL}")
    set_environment_defaults()
    with captured_stderr():
        from kp_tf.backends.keras_backend import load_keras_network
    return load_keras_network(info, precision)
