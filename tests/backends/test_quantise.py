"""Weights of 8 bits in LiteRT's files."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from kp_tf.artifacts.weights import FOLDER
from kp_tf.backends import litert_file, load_network
from kp_tf.backends.litert_file import LitertModel
from kp_tf.backends.quantise import KEPT_LAYERS, quantise

pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")


def kernels(content):
    """By the name of what they compute, the kernels of convolutions and dense layers: their values and scales."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode in (
            schema.BuiltinOperator.CONV_2D,
            schema.BuiltinOperator.FULLY_CONNECTED,
        ):
            output, kernel = (model.subgraphs[0].tensors[k] for k in (operator.outputs[0], operator.inputs[1]))
            kind = np.int8 if kernel.type == schema.TensorType.INT8 else np.float32
            values = np.frombuffer(bytes(model.buffers[kernel.buffer].data), kind).reshape(kernel.shape)
            yield output.name.decode(), values, kernel.quantization.scale if kind is np.int8 else None


def model_of(path):
    content = path.read_bytes()
    return content[: content.index(b"PK\x03\x04")]


def test_each_channel_is_rounded_with_its_own_scale(exported):
    content = model_of(exported["a.tflite"])
    rounded = 0
    for (name, before, _), (_, after, scales) in zip(kernels(content), kernels(quantise(content)), strict=True):
        if scales is None:
            np.testing.assert_array_equal(after, before)
            assert any(f"/{kept}" in name for kept in KEPT_LAYERS)
            continue
        rounded += 1
        scales = np.reshape(scales, (-1, 1, 1, 1))
        assert (np.abs(after * scales - before) <= 0.501 * scales).all()
        np.testing.assert_array_equal(np.abs(after).max(axis=(1, 2, 3)), 127)
    assert rounded


def test_a_picture_does_not_change_what_others_beside_it_give():
    network = load_network("compact")[1]
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 128, 128, 1)).astype(np.float32)
    images[1] /= 10
    np.testing.assert_allclose(network(images), np.concatenate([network(one[None]) for one in images]), atol=1e-6)


def test_int8_takes_one_thread(exported, monkeypatch):
    from ai_edge_litert import interpreter

    threads = []

    class Noting(interpreter.Interpreter):
        def __init__(self, **settings):
            threads.append(settings["num_threads"])
            super().__init__(**settings)

    monkeypatch.setattr(interpreter, "Interpreter", Noting)
    monkeypatch.setattr("kp_tf.backends.litert_file.available_cores", lambda: 3)
    LitertModel(FOLDER / "compact.tflite")
    assert threads[-1] == 1
    LitertModel(exported["a.tflite"])
    assert threads[-1] == 3


def test_threads_compute_int8_at_the_same_time(monkeypatch):
    both = threading.Barrier(2, timeout=20)
    compute = litert_file._Interpreter.compute

    def wait_for_the_other(interpreter, images):
        both.wait()
        return compute(interpreter, images)

    monkeypatch.setattr(litert_file, "available_cores", lambda: 2)
    model = LitertModel(FOLDER / "compact.tflite")
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 1, 128, 128, 1)).astype(np.float32)
    expected = [model(image) for image in images]
    monkeypatch.setattr(litert_file._Interpreter, "compute", wait_for_the_other)
    with ThreadPoolExecutor(4) as pool:  # twice as many threads as interpreters
        np.testing.assert_array_equal(list(pool.map(model, images)), expected)


@pytest.mark.parametrize("name", ["compact", "large", "detector"])
def test_the_committed_files_are_quantised(name):
    model = LitertModel(FOLDER / f"{name}.tflite")
    assert model.tensors[0][0][1], "the input is float32"
    scaled = [name for name, _, scales in kernels(model_of(FOLDER / f"{name}.tflite")) if scales is not None]
    assert len(scaled) >= 15
