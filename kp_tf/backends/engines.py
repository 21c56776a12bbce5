"""What computes a network: LiteRT, ONNX Runtime or Keras, each imported only when it is the one.

An exported file carries what is needed to use it as JSON: a `.tflite` in a ZIP archive behind the model, as
TFLite's own metadata does it; a `.onnx` in its properties.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kp_tf.artifacts.runs import Run
from kp_tf.artifacts.weights import HERE, WEIGHTS, choose_run
from kp_tf.core.environment import held_stderr, settle
from kp_tf.core.errors import KpError

Network = Callable[[np.ndarray], np.ndarray]
"""(B, H, W, 1) float32 in [-0.5, 0.5] to (B, K, 3): x, y in the unit square, variance; NaN without heatmaps."""

ABOUT = "kp_tf.json"  # in a .tflite; in a .onnx the property KEY
KEY = "kp_tf"
LARGEST, LONGEST = 500_000_000, 1_000_000  # bytes of an exported file, and of what it says of itself
INSTALL = "pip install ai-edge-litert onnxruntime"


def load_engine(source: str | Path | None) -> tuple[Run, Network]:
    """A network and what is known of it.

    Args:
        source: a run directory, a file of `export` or `pack`, or the name of weights that come with the project:
            their `.tflite` where `ai-edge-litert` is installed, else through Keras. None: `compact`.

    Raises:
        KpError: if there is no such network, or what computes it is not installed.
    """
    named = str(source or "compact")
    if named in WEIGHTS:
        exported = HERE / f"{named}.tflite"
        if exported.is_file() and find_spec("ai_edge_litert"):
            return _litert(exported)
        return _keras(named)
    kinds = {".tflite": _litert, ".onnx": _onnx}
    path = Path(named)
    return kinds[path.suffix](_checked(path)) if path.suffix in kinds else _keras(named)


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise KpError(f"{path}: expected an exported network, found no such file")
    if path.stat().st_size > LARGEST:
        raise KpError(f"{path}: expected at most {LARGEST:,} bytes, found {path.stat().st_size:,}")
    return path


def _about(path: Path, text: str) -> Run:
    about = json.loads(text)
    run = Run(path, about["config"], about["metrics"])
    _ = run.recipe, run.scheme  # raise what is wrong with them
    return run


def _not_ours(path: Path, found: object) -> KpError:
    return KpError(f"{path}: expected a network that `python -m kp_tf export` wrote, found: {found}")


def _check_shapes(run: Run, inputs: tuple, outputs: tuple) -> None:
    """Refuse a model whose shapes (without the batch's) are not what its settings say."""
    expected = (*run.recipe.shape, 1), (len(run.scheme), 3 if run.recipe.network == "heatmap" else 2)
    if (tuple(inputs), tuple(outputs)) != expected:
        raise _not_ours(
            run.path, f"shapes {tuple(inputs)} and {tuple(outputs)}, not {expected[0]} and {expected[1]}"
        )


def three(outputs: np.ndarray) -> np.ndarray:
    """Outputs (B, K, 2 or 3) to (B, K, 3): a variance that is not there is NaN."""
    if outputs.shape[-1] == 3:
        return outputs
    return np.concatenate([outputs, np.full((*outputs.shape[:-1], 1), np.nan, np.float32)], axis=-1)


def _litert(path: Path) -> tuple[Run, Network]:
    if not find_spec("ai_edge_litert"):
        raise KpError(f"{path} needs ai-edge-litert: {INSTALL}")
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(ABOUT).decode() if archive.getinfo(ABOUT).file_size < LONGEST else "{}"
        run = _about(path, text)
        content = path.read_bytes()[: json.loads(text)["bytes"]]
        if hashlib.sha256(content).hexdigest() != json.loads(text)["sha256"]:
            raise ValueError("a model that was changed since")  # the run time would crash on some
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError, KpError) as error:
        raise _not_ours(path, error) from None
    with held_stderr():  # it says on stderr which delegate it has made
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_content=content, num_threads=cores())
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise _not_ours(path, error) from None
    (image,), (points,) = interpreter.get_input_details(), interpreter.get_output_details()
    _check_shapes(run, image["shape"][1:], points["shape"][1:])

    def network(images: np.ndarray) -> np.ndarray:
        if interpreter.get_input_details()[0]["shape"][0] != len(images):
            interpreter.resize_tensor_input(image["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(image["index"], images)
        interpreter.invoke()
        return three(interpreter.get_tensor(points["index"]))

    return run, network


def _onnx(path: Path) -> tuple[Run, Network]:
    if not find_spec("onnxruntime"):
        raise KpError(f"{path} needs onnxruntime: {INSTALL}")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        run = _about(path, session.get_modelmeta().custom_metadata_map[KEY])
    except Exception as error:  # ONNX Runtime has a class for each kind, all directly below this
        raise _not_ours(path, error) from None
    (image,), (points,) = session.get_inputs(), session.get_outputs()
    _check_shapes(run, image.shape[1:], points.shape[1:])
    return run, lambda images: three(session.run(None, {image.name: images})[0])


def _keras(named: str) -> tuple[Run, Network]:
    run = choose_run(named)
    if not find_spec("tensorflow"):
        raise KpError(f"{named} needs TensorFlow, or an exported file and its run time: {INSTALL}")
    settle()
    with held_stderr():
        from kp_tf.backends.inference import load_network
    return run, load_network(run)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
