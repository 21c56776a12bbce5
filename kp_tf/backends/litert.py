"""LiteRT. A `.tflite` of this project carries its settings as JSON in a ZIP archive behind the model."""

import hashlib
import json
import threading
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import parse_description
from kp_tf.backends.network import (
    INSTALL,
    Network,
    check_file,
    check_tensors,
    not_exported,
    pad_variance,
)
from kp_tf.core.environment import captured_stderr
from kp_tf.core.errors import KpError
from kp_tf.core.hardware import available_cores

DESCRIPTION = "kp_tf.json"  # in the archive
_MAX_DESCRIPTION_BYTES = 1_000_000


def load_litert(path: Path) -> tuple[ModelInfo, Network]:
    """Load a `.tflite` that `export` wrote.

    Raises:
        KpError: if it is another file or was changed, or if `ai-edge-litert` is not installed.
    """
    check_file(path)
    if not find_spec("ai_edge_litert"):
        raise KpError(f"{path} needs ai-edge-litert: {INSTALL}")
    info, content = _read(path)
    with captured_stderr():  # it reports which delegate it has created
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_content=content, num_threads=available_cores())
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise not_exported(path, error) from None
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    check_tensors(
        info, *([(each["shape"].tolist(), each["dtype"] is np.float32) for each in kind] for kind in (inputs, outputs))
    )
    (image,), (points,) = inputs, outputs
    lock = threading.Lock()  # an interpreter holds one input and one output

    def network(images: np.ndarray) -> np.ndarray:
        with lock:
            if interpreter.get_input_details()[0]["shape"][0] != len(images):
                interpreter.resize_tensor_input(image["index"], images.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(image["index"], images)
            interpreter.invoke()
            return pad_variance(interpreter.get_tensor(points["index"]))

    return info, network


def _read(path: Path) -> tuple[ModelInfo, bytes]:
    """The description and the model of a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(DESCRIPTION)
            if member.file_size > _MAX_DESCRIPTION_BYTES or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError("a description that is too long or compressed")
            text = archive.read(DESCRIPTION).decode()
        info, about = parse_description(path, text), json.loads(text)
        content = path.read_bytes()[: about["bytes"]]
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            raise ValueError("a model that was changed since")  # the runtime would crash on some
    except (zipfile.BadZipFile, LookupError, TypeError, ValueError, OSError, RuntimeError, EOFError) as error:
        raise not_exported(path, error) from None
    return info, content
