"""This project's side of the benchmarks, and stock Keras': JSON lines in, JSON lines out.

Its argument is JSON: `precision` as of train.py, and `stock`: Keras' own batch norm. Whoever starts it settles the
environment (see turns.py).
"""

import json
import math
import sys
import time
from functools import cache

import keras
import numpy as np
import tensorflow as tf

from kp_tf.models import layers
from kp_tf.models.heatmap import multiply_adds
from kp_tf.networks import build, compiled
from kp_tf.precision import resolve
from kp_tf.recipes import PART3
from kp_tf.schemes import IBUG68

SETTINGS = json.loads(sys.argv[1])
if SETTINGS.get("stock"):
    layers.BatchNormalization = keras.layers.BatchNormalization


@cache
def network() -> keras.Model:
    model = build(PART3, len(IBUG68), 0, resolve(SETTINGS["precision"]))
    return compiled(model, PART3, IBUG68, 1)


@cache
def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.5, 0.5, (size, *PART3.shape, 1)).astype(np.float32)
    return images, rng.uniform(0, 1, (size, len(IBUG68), 2)).astype(np.float32)


@cache
def batches(size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(batch(size)).cache().repeat().prefetch(1)


def train(size: int, steps: int) -> dict:
    """Images per second of training steps on one batch, as `fit` takes them."""
    model, source = network(), batches(size)
    start = time.perf_counter()
    model.fit(source, steps_per_epoch=steps, shuffle=False, verbose=0)
    return {"value": size * steps / (time.perf_counter() - start)}


def predict(size: int, steps: int) -> dict:
    """Images per second from an array to an array."""
    model, (images, _) = network(), batch(size)
    start = time.perf_counter()
    for _ in range(steps):
        model.predict_on_batch(images)
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


def versions() -> dict:
    return {}


TASKS = {task.__name__: task for task in (train, predict, product, convolutions, versions)}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not be taken for an answer
    for line in sys.stdin:
        request = json.loads(line)
        answer = TASKS[request.pop("do")](**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
