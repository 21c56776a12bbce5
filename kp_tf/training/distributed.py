"""One training on several devices of one machine or of several: equal parts of each batch, the same weights.

Dividing faces and batches, and everything that machines agree on, is here; the rest of the training
only asks whether this machine is the chief.
"""

import hashlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kp_tf.core.errors import KpError
from kp_tf.input.batches import Divide, in_batches

EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
# what a collective operation ends with where a machine does not answer
GONE = tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError


def machines() -> tuple[int, int]:
    """How many machines train together, by TF_CONFIG, and which this is; 0 is the chief, which alone writes.

    Raises:
        KpError: if TF_CONFIG is not what TensorFlow expects.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        content = json.loads(text)
    except ValueError as error:
        raise KpError(f"TF_CONFIG is not JSON such as {EXAMPLE}: {error}") from None
    if content == {}:
        return 1, 0
    try:
        cluster, task = content["cluster"], content["task"]
        jobs = [(kind, cluster.get(kind, [])) for kind in ("chief", "worker")]
        places = [(kind, index) for kind, addresses in jobs for index in range(len(addresses))]
        place = task["type"], int(task["index"])
    except (LookupError, TypeError, AttributeError, ValueError):
        raise KpError(f"TF_CONFIG must look like {EXAMPLE}, not {text}") from None
    if not all(isinstance(addresses, list) for _, addresses in jobs):
        raise KpError(f"TF_CONFIG must hold lists of addresses as in {EXAMPLE}, not {text}")
    if place not in places or set(cluster) - {"chief", "worker"}:
        raise KpError(f"TF_CONFIG: the task must be a chief or worker of the cluster: {text}")
    return len(places), places.index(place)


def strategy_of(devices: int | None, batch_size: int) -> tf.distribute.Strategy:
    """TensorFlow's strategy for this many devices of each machine; to be called before TensorFlow has used any.

    It waits for the other machines.

    Args:
        devices: how many of a machine's GPUs; None takes all. Where there is none, the CPU is divided, which shows
            that it works and saves no time.
        batch_size: of all devices together.

    Raises:
        KpError: if there are fewer GPUs, the batch has no equal parts, or machines do not find each other.
    """
    gpus = tf.config.list_physical_devices("GPU")
    count, (together, _) = devices or max(1, len(gpus)), machines()
    if count == together == 1:
        return tf.distribute.get_strategy()
    if count > max(1, len(gpus)) and (gpus or together > 1):
        raise KpError(f"--devices {count}: this machine has {len(gpus)} GPUs")
    if batch_size % (count * together):
        what = f"--devices {count}" if together == 1 else f"TF_CONFIG: {together} machines of {count} devices"
        raise KpError(f"{what}: a batch of {batch_size} cannot be divided equally; choose another --batch-size")
    if together > 1:
        tf.config.set_visible_devices(gpus[:count], "GPU")
        return _strategy_of_machines(together)
    if not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    kind = "GPU" if gpus else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(count)])


def _strategy_of_machines(together: int) -> tf.distribute.Strategy:
    print(f"Waiting until all {together} machines of TF_CONFIG are here", flush=True)
    is_main = threading.current_thread() is threading.main_thread()
    # TensorFlow waits where Python does not hear Ctrl-C; nothing is begun yet
    before = signal.signal(signal.SIGINT, signal.SIG_DFL) if is_main else None
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.UnknownError, tf.errors.InvalidArgumentError) as error:
        raise KpError(f"TF_CONFIG: needs addresses HOST:PORT, with this machine's own free: {error}") from None
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


def is_chief() -> bool:
    """Whether this machine writes the run directory."""
    return machines()[1] == 0


def shards_of(files: Sequence[str]) -> np.ndarray | None:
    """The machine that decodes and keeps each of N faces, (N,) by number; None where there is only one machine.

    A photograph goes, in the order of the labels, to the machine with the fewest faces so far, with all its faces.
    """
    together, _ = machines()
    if together == 1:
        return None
    loads, places = [0] * together, {}
    for file, count in Counter(files).items():
        places[file] = loads.index(min(loads))
        loads[places[file]] += count
    return np.array([places[file] for file in files])


def num_steps(strategy: tf.distribute.Strategy, count: int, batch_size: int, shards: np.ndarray | None = None) -> int:
    """Batches in an epoch of `count` faces, after `divided`.

    Raises:
        KpError: if there are fewer faces than devices.
    """
    parts, (together, _) = strategy.num_replicas_in_sync, machines()
    each, devices = _share(count, shards), parts // together
    if each < devices:
        raise KpError(f"--devices {parts} needs as many faces for training and for validation; one side has {count}")
    return -(-(each // devices * devices) // (batch_size // together))


def _share(count: int, shards: np.ndarray | None) -> int:
    """How many faces each machine takes in an epoch."""
    return count if shards is None else int(np.bincount(shards, minlength=machines()[0]).min())


def divided(strategy: tf.distribute.Strategy, shards: np.ndarray | None) -> Divide:
    """How to divide the order of an epoch into batches with an equal part for each device.

    Of several machines, each takes its own faces in the common order, as many as the machine with the fewest has. A
    batch consists of the next of each. A machine loads its own parts alone.

    Args:
        strategy: from `strategy_of`.
        shards: from `shards_of`.

    Returns:
        A function for `input.batches`. Its batches leave out up to `num_replicas_in_sync - 1` faces of an epoch, and
        the surplus of machines that have more faces than others.
    """
    parts, (together, number) = strategy.num_replicas_in_sync, machines()

    def divide(order: tf.Tensor, batch_size: int) -> tf.data.Dataset:
        if shards is None:
            return equal_parts(parts, in_batches(order, batch_size))
        mine = tf.boolean_mask(order, tf.gather(tf.constant(shards == number), order))
        own = in_batches(mine[: _share(len(shards), shards)], batch_size // together)
        devices = parts // together
        return equal_parts(devices, own).flat_map(
            lambda rows: tf.data.Dataset.from_tensor_slices(tf.reshape(rows, (devices, -1)))
        )

    return divide


def equal_parts(parts: int, batches: tf.data.Dataset) -> tf.data.Dataset:
    """Trim batches of indices so that each can be divided into this many equal parts."""
    if parts == 1:
        return batches
    trimmed = batches.map(lambda rows: rows[: tf.shape(rows)[0] // parts * parts])
    return trimmed.filter(lambda rows: tf.shape(rows)[0] > 0)


def distribute(
    strategy: tf.distribute.Strategy, make_batches: Callable[[], tf.data.Dataset]
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Batches as `fit` takes them; with several machines, `divided` has kept only this machine's parts."""
    if machines()[0] == 1:
        return make_batches()
    # without an end, machines need not ask each other at each step whether there is more
    return strategy.distribute_datasets_from_function(lambda _: make_batches().repeat())


def total(strategy: tf.distribute.Strategy, value: int | np.ndarray) -> np.ndarray:
    """The sum of whole numbers over all machines, which wait here for each other."""
    if machines()[0] == 1:
        return np.asarray(value)
    return strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(value, tf.int64), axis=None).numpy()


def check_alike(strategy: tf.distribute.Strategy, content: object) -> None:
    """Refuse machines that would train differently.

    Args:
        strategy: from `strategy_of`.
        content: for JSON, what must be the same on all machines.

    Raises:
        KpError: if it is not.
    """
    if machines()[0] == 1:
        return
    digest = int(hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8], 16)
    if total(strategy, digest) != machines()[0] * digest:
        raise KpError("TF_CONFIG: the machines have different commands, photographs or checkpoints")


@contextmanager
def lost_machines_named() -> Iterator[None]:
    """Within the `with` block, report a lost machine as a KpError.

    Raises:
        KpError: if another machine has ended, or cannot be reached.
    """
    try:
        yield
    except GONE:
        if machines()[0] == 1:
            raise
        raise KpError(
            f"TF_CONFIG: one of the {machines()[0]} machines is gone or out of reach (it says "
            "why, if it could). The last finished epoch is kept; --resume on all machines goes on from it"
        ) from None


def synchronize_batch_norm(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """With several devices, let batch norm take its statistics from all of them, which the fused kernel cannot."""
    for layer in model.layers if strategy.num_replicas_in_sync > 1 else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def for_strategy(model: keras.Model) -> keras.Model:
    """The same layers in a model that `fit` can train under the current strategy."""
    several = isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)
    return _Keras20585(model.input, model.output, name=model.name) if several else model


class _Keras20585(keras.Model):
    """A workaround for https://github.com/keras-team/keras/issues/20585 (test_distributed.py tells when it can go).

    Under MultiWorkerMirroredStrategy, `fit` of Keras 3.15 builds a model from its first batch, which it reduces over
    the replicas as one structure, and reduces a step's logs along an axis that scalars do not have: both fail. This
    model builds from the local replica's part of the batch, and its logs have the shape (1,).
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None:
            batch = next(next(iter(iterator))[-1])
            data_batch = tf.nest.map_structure(lambda values: values.values[0], batch)
        super()._maybe_symbolic_build(data_batch=data_batch)

    def train_step(self, data: Any) -> dict:
        return {name: tf.reshape(value, (1,)) for name, value in super().train_step(data).items()}

    def test_step(self, data: Any) -> dict:
        return {name: tf.reshape(value, (1,)) for name, value in super().test_step(data).items()}
