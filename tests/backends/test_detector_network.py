"""The detector's network: the same cells from both backends, and the messages where there is none."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kp_tf.artifacts.weights import FOLDER
from kp_tf.backends import detector
from kp_tf.backends.detector import load_detector
from kp_tf.core.errors import KpError

IMAGES = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 64, 96, 1)).astype(np.float32)


def without(monkeypatch, *packages):
    found = importlib.util.find_spec
    monkeypatch.setattr(detector, "find_spec", lambda name: None if name in packages else found(name))


def test_both_backends_find_the_same(monkeypatch):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    litert = load_detector()
    without(monkeypatch, "ai_edge_litert")
    keras = load_detector()
    for images in (IMAGES, IMAGES[:, :32], IMAGES):
        cells = keras(images)
        assert cells.shape == (1, images.shape[1] // 8, 12, 6)
        np.testing.assert_allclose(litert(images), cells, atol=0.05)  # one file has kernels of 8 bits


def test_threads_share_a_detector():
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    network = load_detector()
    shapes = [IMAGES[:, : 32 * (1 + k % 2)] for k in range(8)]  # of two sizes, in turns
    expected = [network(images) for images in shapes]
    with ThreadPoolExecutor(4) as pool:
        for cells, right in zip(pool.map(network, shapes), expected, strict=True):
            np.testing.assert_allclose(cells, right, atol=1e-5)


def test_without_litert_and_tensorflow_both_are_named(monkeypatch):
    without(monkeypatch, "ai_edge_litert", "tensorflow")
    with pytest.raises(KpError, match="detecting faces needs LiteRT or TensorFlow: pip install"):
        load_detector()


def test_the_files_are_small():
    assert (FOLDER / "detector.tflite").stat().st_size < 1_500_000
    assert (FOLDER / "detector.npz").stat().st_size < 1_500_000
