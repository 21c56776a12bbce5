"""ONNX Runtime. A `.onnx` of this project carries its settings as JSON in its metadata."""

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
from kp_tf.core.errors import KpError
from kp_tf.core.hardware import available_cores

PROPERTY = "kp_tf"


def load_onnx(path: Path) -> tuple[ModelInfo, Network]:
    """Load a `.onnx` that `export` wrote.

    Raises:
        KpError: if it is another file, or if `onnxruntime` is not installed.
    """
    check_file(path)
    if not find_spec("onnxruntime"):
        raise KpError(f"{path} needs onnxruntime: {INSTALL}")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map[PROPERTY]
    except Exception as error:  # ONNX Runtime has a class for each kind, all directly below this one
        raise not_exported(path, error) from None
    info = parse_description(path, text)
    inputs, outputs = (
        [(tensor.shape, tensor.type == "tensor(float)") for tensor in tensors]
        for tensors in (session.get_inputs(), session.get_outputs())
    )
    check_tensors(info, inputs, outputs)
    name = session.get_inputs()[0].name
    return info, lambda images: pad_variance(np.asarray(session.run(None, {name: images})[0]))
