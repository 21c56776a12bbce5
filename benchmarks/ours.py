"""This project's side of the benchmarks, and stock Keras': JSON lines in, JSON lines out.

Its argument is JSON: `precision` as of train.py; `stock`: Keras' own batch norm; `network`: committed weights, not
an untrained ResNet18. Whoever starts it settles the environment (see turns.py).
"""

import json
import math
import re
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from kp_tf.apps.kaggle import write_submission
from kp_tf.artifacts.weights import choose_run
from kp_tf.backends.engines import Network
from kp_tf.backends.inference import for_prediction, load_model
from kp_tf.backends.precision import resolve
from kp_tf.core.geometry import crop_windows
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.samples import Records
from kp_tf.input.augment import DRAWS
from kp_tf.input.pipeline import decode, training_batches
from kp_tf.models import layers
from kp_tf.models.heatmap import multiply_adds
from kp_tf.recipes import PART3
from kp_tf.training.networks import build, compiled, transform

SETTINGS = json.loads(sys.argv[1])
if SETTINGS.get("stock"):
    layers.BatchNormalization = keras.layers.BatchNormalization


RUN = choose_run(SETTINGS["network"]) if "network" in SETTINGS else None
RECIPE = RUN.recipe if RUN else PART3


@cache
def network() -> keras.Model:
    if RUN:
        return load_model(RUN, SETTINGS["precision"])
    model = build(PART3, len(IBUG68), 0, resolve(SETTINGS["precision"]))
    return compiled(model, PART3, IBUG68, 1)


@cache
def predicting() -> Network:
    """As `inference` uses it."""
    return for_prediction(network(), RUN or SimpleNamespace(recipe=RECIPE))


@cache
def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.5, 0.5, (size, *RECIPE.shape, 1)).astype(np.float32)
    return images, rng.uniform(0, 1, (size, len(IBUG68), 2)).astype(np.float32)


@cache
def batches(size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(batch(size)).cache().repeat().prefetch(1)


class Watch(keras.callbacks.Callback):
    """The seconds of an epoch.

    `fit` itself may return later: a thread of `tf.data` that tunes ends when its period is over, each twice as long
    as the one before, so that 4 s of steps took 5.1 s.
    """

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds = time.perf_counter() - self.begun


def _rate(model: keras.Model, source: tf.data.Dataset, size: int, steps: int) -> dict:
    watch = Watch()
    model.fit(source, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[watch])
    return {"value": size * steps / watch.seconds}


def train(size: int, steps: int) -> dict:
    """Images per second of training steps on one batch, as `fit` takes them."""
    return _rate(network(), batches(size), size, steps)


def predict(size: int, steps: int) -> dict:
    """Images per second from an array to an array."""
    compute, (images, _) = predicting(), batch(size)
    start = time.perf_counter()
    for _ in range(steps):
        compute(images)
    return {"value": size * steps / (time.perf_counter() - start)}


def product(m: int, k: int, n: int, seconds: float) -> dict:
    """Seconds of one matrix product in bfloat16, (m, k) by (k, n)."""
    a, b = (tf.cast(tf.random.normal(shape), tf.bfloat16) for shape in ((m, k), (k, n)))
    tf.matmul(a, b)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        tf.matmul(a, b)
        count += 1
    return {"value": (time.perf_counter() - start) / count}


def convolutions(size: int) -> dict:
    """The network's convolutions as products [m, k, n], and the multiply-adds of one image."""
    convs = [layer for layer in network().layers if isinstance(layer, keras.layers.Conv2D)]
    shapes = [
        [size * math.prod(c.output.shape[1:3]), math.prod(c.kernel.shape[:3]), c.kernel.shape[3]] for c in convs
    ]
    return {"shapes": shapes, "multiply_adds": multiply_adds(network())}


def decode_faces(faces: list, times: int) -> dict:
    """Images per second from files to crops, decoded ahead on all cores."""
    records, boxes = _records(faces * times)
    start = time.perf_counter()
    decode(records, boxes, RECIPE.shape)
    return {"value": len(records) / (time.perf_counter() - start)}


def bare(files: list[str], times: int) -> dict:
    """Images per second of TensorFlow's JPEG decoder on whole files, grey, on all cores."""
    source = tf.data.Dataset.from_tensor_slices(files * times)
    pictures = source.map(lambda file: tf.shape(tf.io.decode_jpeg(tf.io.read_file(file), 1)), tf.data.AUTOTUNE)
    start = time.perf_counter()
    count = sum(1 for _ in pictures)
    return {"value": count / (time.perf_counter() - start)}


def epoch(size: int, steps: int) -> dict:
    """Images per second of one epoch of random crops through the whole pipeline and the network."""
    return _rate(network(), _pipeline(size, steps), size, steps)


@cache
def _pipeline(size: int, steps: int) -> tf.data.Dataset:
    crops = np.random.default_rng(0).integers(0, 256, (size * steps, *PART3.shape, 1), np.uint8)
    units = np.random.default_rng(1).uniform(0, 1, (size * steps, len(IBUG68), 2)).astype(np.float32)
    return training_batches(crops, units, size, 0, transform(PART3, IBUG68.mirror), DRAWS)


def memory(faces: list, times: int, epochs: int) -> dict:
    """MiB of memory that is not backed by a file after each epoch through a cache on disk, without a network."""
    records, boxes = _records(faces * times)
    with mock.patch("psutil.virtual_memory", return_value=mock.Mock(available=0)):
        crops = decode(records, boxes, PART3.shape)
    units = np.zeros((len(crops), len(IBUG68), 2), np.float32)
    batches, taken = training_batches(crops, units, 32, 0, transform(PART3, IBUG68.mirror), DRAWS), []
    iterator = iter(batches)
    for _ in range(epochs):
        for _ in range(-(-len(crops) // 32)):
            next(iterator)
        status = Path("/proc/self/status").read_text()
        taken.append(int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024)
    return {"images": len(crops), "mebibytes": taken}


def write(faces: int) -> dict:
    """Seconds to write the competition's CSV and read it back."""
    points = np.random.default_rng(0).uniform(0, 500, (faces, len(IBUG68), 2))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_submission(points, Path(folder) / "submission.csv")
        return {"value": time.perf_counter() - start}


def _records(faces: list) -> tuple[Records, np.ndarray]:
    """Faces [file, [left, top, width, height]] as records, and the windows about them."""
    boxes = crop_windows(np.array([box for _, box in faces]), RECIPE.crop_scale)
    files = tuple(file for file, _ in faces)
    return Records(Path("/"), files, boxes, None, IBUG68, files), boxes


def versions() -> dict:
    return {}


TASKS = {
    task.__name__: task
    for task in (train, predict, product, convolutions, decode_faces, bare, epoch, memory, write, versions)
}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not be taken for an answer
    for line in sys.stdin:
        request = json.loads(line)
        answer = TASKS[request.pop("do")](**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
