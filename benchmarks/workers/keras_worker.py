"""This project's networks, and stock Keras', as a worker with settings.

`precision` is that of train.py. `stock` replaces this project's batch norm and optimizers with Keras'. `network` names
committed weights; without it, the network is an untrained one of part 3's `recipe`, by default `course`: ResNet18.
Whoever starts the worker sets its environment variables.
"""

import math
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from protocol import repeat, seconds_of_call, serve, settings, timed

from kp_tf.apps.submission_csv import write_submission
from kp_tf.artifacts.find import find_model
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.keras_backend import for_prediction, load_model
from kp_tf.backends.network import Network
from kp_tf.backends.precision import resolve_precision
from kp_tf.core.geometry import crop_windows
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.samples import Samples
from kp_tf.input.augment import training_transform
from kp_tf.input.batches import Crops, training_batches
from kp_tf.input.decode import decode_crops
from kp_tf.models import layers
from kp_tf.models.build import build_network
from kp_tf.models.heatmap import multiply_adds
from kp_tf.recipes import PART3, RECIPES
from kp_tf.training import adam
from kp_tf.training.model import compiled

SETTINGS = settings()
INFO = find_model(SETTINGS["network"]) if "network" in SETTINGS else None
RECIPE = INFO.recipe if INFO else RECIPES[SETTINGS.get("recipe", PART3.name), 3]
POINTS = len(IBUG68)
if SETTINGS.get("stock"):
    layers.BatchNormalization, adam.Adam = keras.layers.BatchNormalization, keras.optimizers.Adam
    adam.AdamW = keras.optimizers.AdamW


@cache
def _network() -> Any:
    if INFO:
        return load_model(INFO, SETTINGS["precision"])
    model = build_network(RECIPE, POINTS, seed=0, precision=resolve_precision(SETTINGS["precision"]))
    return compiled(model, RECIPE, IBUG68.eyes, steps=1000)


@cache
def _predict() -> Network:
    return for_prediction(_network(), INFO or ModelInfo(Path(), RECIPE, IBUG68))


@cache
def _batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.5, 0.5, (size, *RECIPE.shape, 1)).astype(np.float32)
    return images, rng.uniform(0, 1, (size, POINTS, 2)).astype(np.float32)


@cache
def _one_batch(size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(_batch(size)).cache().repeat().prefetch(1)


class EpochTimer(keras.callbacks.Callback):
    """Measures the seconds of an epoch.

    `fit` itself may return later: it waits for a tuning thread of `tf.data`, whose periods double, so that 4 s of
    steps took 5.1 s.
    """

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds = time.perf_counter() - self.start


def _fit_rate(batches: tf.data.Dataset, size: int, steps: int) -> float:
    timer = EpochTimer()
    _network().fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[timer])
    return size * steps / timer.seconds


def train(size: int, steps: int) -> float:
    """Return the images per second of training steps on one batch, as `fit` takes them."""
    return _fit_rate(_one_batch(size), size, steps)


def epoch(size: int, steps: int) -> float:
    """Return the images per second of one epoch of random crops through the input pipeline and the network."""
    return _fit_rate(_random_epoch(size, steps), size, steps)


@cache
def _random_epoch(size: int, steps: int) -> tf.data.Dataset:
    crops = np.random.default_rng(0).integers(0, 256, (size * steps, *PART3.shape, 1), np.uint8)
    points = np.random.default_rng(1).uniform(0, 1, (size * steps, POINTS, 2)).astype(np.float32)
    return _training_batches(crops, points, size)


def _training_batches(crops: Crops, points: np.ndarray, size: int) -> tf.data.Dataset:
    return training_batches(crops, points, size, 0, training_transform(PART3, IBUG68.flip_indices))


def predict(size: int, steps: int) -> float:
    """Return the images per second from a NumPy array to a NumPy array."""
    network, (images, _) = _predict(), _batch(size)
    return size * steps / repeat(lambda: network(images), steps)


def product(m: int, k: int, n: int, seconds: float) -> float:
    """Return the seconds of one bfloat16 matrix product, (m, k) by (k, n), repeated for at least `seconds`."""
    a, b = (tf.cast(tf.random.normal(shape), tf.bfloat16) for shape in ((m, k), (k, n)))
    return seconds_of_call(lambda: tf.matmul(a, b), seconds)


def convolutions(size: int) -> dict:
    """Return the convolutions of a batch as matrix products [m, k, n], and the multiply-adds of one image."""
    convs: list[Any] = [layer for layer in _network().layers if isinstance(layer, keras.layers.Conv2D)]
    shapes = [[size * math.prod(c.output.shape[1:3]), math.prod(c.kernel.shape[:3]), c.kernel.shape[3]] for c in convs]
    return {"shapes": shapes, "multiply_adds": multiply_adds(_network())}


def decode_faces(faces: list, times: int) -> float:
    """Return the images per second from files to crops; `faces` [file, box] are read `times` times."""
    samples, windows = _samples_and_windows(faces * times)
    return len(samples) / timed(decode_crops, samples, windows, RECIPE.shape)[1]


def decode_files(files: list[str], times: int) -> float:
    """Return the images per second of TensorFlow's JPEG decoder on whole files, to grey, on all cores."""
    source = tf.data.Dataset.from_tensor_slices(files * times)
    images = source.map(lambda file: tf.shape(tf.io.decode_jpeg(tf.io.read_file(file), 1)), tf.data.AUTOTUNE)
    count, seconds = timed(lambda: sum(1 for _ in images))
    return count / seconds


def memory(faces: list, times: int, epochs: int) -> dict:
    """Return the anonymous memory in MiB after each epoch of batches from crops on disk, without a network."""
    samples, windows = _samples_and_windows(faces * times)
    with mock.patch("psutil.virtual_memory", return_value=mock.Mock(available=0)):
        crops = decode_crops(samples, windows, PART3.shape)
    batches = iter(_training_batches(crops, np.zeros((len(crops), POINTS, 2), np.float32), 32))
    mebibytes = []
    for _ in range(epochs):
        for _ in range(-(-len(crops) // 32)):
            next(batches)
        status = Path("/proc/self/status").read_text()
        mebibytes.append(int(status.split("RssAnon:")[1].split()[0]) / 1024)
    return {"images": len(crops), "mebibytes": mebibytes}


def write(faces: int) -> float:
    """Return the seconds to write the competition's CSV for so many faces and to read it back."""
    points = np.random.default_rng(0).uniform(0, 500, (faces, POINTS, 2))
    with tempfile.TemporaryDirectory() as folder:
        return timed(write_submission, points, Path(folder) / "submission.csv")[1]


def _samples_and_windows(faces: list) -> tuple[Samples, np.ndarray]:
    """Faces [file, [left, top, width, height]] as samples, and their crop windows."""
    files, boxes = tuple(file for file, _ in faces), np.array([box for _, box in faces])
    windows = crop_windows(boxes, RECIPE.crop_scale)
    return Samples(Path("/"), files, windows, None, IBUG68, files), windows


serve(train, epoch, predict, product, convolutions, decode_faces, decode_files, memory, write)
