"""Files of LiteRT. A `.tflite` of this project carries its description as JSON in a ZIP archive behind the model."""

import hashlib
import json
import threading
import zipfile
from importlib.util import find_spec
from pathlib import Path
from queue import LifoQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from kp_tf.backends.network import INSTALL, Tensors, check_file, not_exported
from kp_tf.backends.quantise import quantise
from kp_tf.core.environment import captured_stderr
from kp_tf.core.errors import KpError
from kp_tf.core.hardware import available_cores

if TYPE_CHECKING:
    import keras

DESCRIPTION = "kp_tf.json"  # in the archive
_MAX_DESCRIPTION_BYTES = 1_000_000
# images at most: a batch is hardly faster, and to change its size takes as long as several images
ONE_BY_ONE = 8


def write_litert(model: "keras.Model", about: dict, precision: str, path: Path, batch: int | None = None) -> None:
    """Convert a model.

    Args:
        model: with one input and one output.
        about: its description, as JSON.
        precision: how the weights are stored: float32, float16, which computes in float32, or int8, which computes in
            int8 but for the layers that `quantise.KEPT_LAYERS` names.
        path: the `.tflite`.
        batch: the only size of a batch that it takes; None: any.
    """
    import keras
    import tensorflow as tf

    half = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": {"supported_types": [tf.float16]}}
    settings = half if precision == "float16" else {}
    signature = [keras.InputSpec(shape=(batch, *model.input_shape[1:]), dtype="float32")]
    model.export(str(path), format="litert", verbose=False, input_signature=signature, **settings)
    content = path.read_bytes()
    if precision == "int8":
        path.write_bytes(content := quantise(content))
    about = about | {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(DESCRIPTION, json.dumps(about))


class LitertModel:
    """The model of a `.tflite` of this project. Threads may share one.

    Attributes:
        description: the file's, as it was written.
        tensors: the inputs and the outputs, see `network.Tensors`.
    """

    def __init__(self, path: Path) -> None:
        """Load a file.

        Raises:
            KpError: if it is another file or was changed, or if `ai-edge-litert` is not installed.
        """
        check_file(path)
        if not find_spec("ai_edge_litert"):
            raise KpError(f"{path} needs ai-edge-litert: {INSTALL}")
        self.description, self._content = _read(path)
        try:
            first = _Interpreter(self._content, threads=1)
            # with int8, a second thread saves nothing, and on a busy machine the first one waits for it
            is_int8 = first.is_int8()
            first = first if is_int8 else _Interpreter(self._content, available_cores())
        except (ValueError, RuntimeError) as error:
            raise not_exported(path, error) from None
        self.tensors = first.tensors()
        self._idle: LifoQueue[_Interpreter] = LifoQueue()
        self._idle.put(first)
        self._lock, self._to_make = threading.Lock(), available_cores() - 1 if is_int8 else 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute the first output of the first input."""
        if 1 < len(images) <= ONE_BY_ONE:
            return np.concatenate([self(image[None]) for image in images])
        interpreter = self._take()
        try:
            return interpreter.compute(images)
        finally:
            self._idle.put(interpreter)

    def _take(self) -> "_Interpreter":
        """An interpreter that no thread uses; with int8, there is one for each core."""
        with self._lock:
            if self._to_make and self._idle.empty():
                self._to_make -= 1
                return _Interpreter(self._content, threads=1)
        return self._idle.get()


class _Interpreter:
    """LiteRT's, for one thread at a time: it holds one input and one output."""

    def __init__(self, content: bytes, threads: int) -> None:
        with captured_stderr():  # it reports which delegate it has created
            from ai_edge_litert.interpreter import Interpreter

            self._interpreter: Any = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()  # of the input, once it is known

    def is_int8(self) -> bool:
        return any(tensor["dtype"] is np.int8 for tensor in self._interpreter.get_tensor_details())

    def tensors(self) -> tuple[Tensors, Tensors]:
        inputs, outputs = (
            [(each["shape_signature"].tolist(), each["dtype"] is np.float32) for each in kind]
            for kind in (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        )
        return inputs, outputs

    def compute(self, images: np.ndarray) -> np.ndarray:
        if self._shape != images.shape:
            self._interpreter.resize_tensor_input(self._input, images.shape)
            self._interpreter.allocate_tensors()
            self._shape = images.shape
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


def _read(path: Path) -> tuple[str, bytes]:
    """The description and the model of a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(DESCRIPTION)
            if member.file_size > _MAX_DESCRIPTION_BYTES or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError("a description that is too long or compressed")
            text = archive.read(DESCRIPTION).decode()
        about = json.loads(text)
        content = path.read_bytes()[: about["bytes"]]
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            raise ValueError("a model that was changed since")  # the runtime would crash on some
    except (zipfile.BadZipFile, LookupError, TypeError, ValueError, OSError, RuntimeError, EOFError) as error:
        raise not_exported(path, error) from None
    return text, content
