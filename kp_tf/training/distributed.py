"""One training on several devices, of one machine or of several: the same weights, equal parts of each batch."""

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from kp_tf.core.errors import KpError

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
        given = json.loads(text)
    except ValueError as error:
        raise KpError(f"TF_CONFIG: expected JSON such as {EXAMPLE}, found: {error}") from None
    if given == {}:
        return 1, 0
    try:
        cluster, task = given["cluster"], given["task"]
        jobs = [(kind, cluster.get(kind, [])) for kind in ("chief", "worker")]
        places = [(kind, index) for kind, addresses in jobs for index in range(len(addresses))]
        place = task["type"], int(task["index"])
    except (LookupError, TypeError, AttributeError, ValueError):
        raise KpError(f"TF_CONFIG: expected one such as {EXAMPLE}, found {text}") from None
    if not all(isinstance(addresses, list) for _, addresses in jobs):
        raise KpError(f"TF_CONFIG: expected lists of addresses as in {EXAMPLE}, found {text}")
    if place not in places or set(cluster) - {"chief", "worker"}:
        raise KpError(f"TF_CONFIG: expected one of chief and worker in its cluster as its task, found {text}")
    return len(places), places.index(place)


def strategy_of(devices: int | None, batch_size: int) -> tf.distribute.Strategy:
    """TensorFlow's strategy for so many devices of each machine; to be called before TensorFlow has used any.

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
        raise KpError(f"--devices {count}: expected at most the {len(gpus)} GPUs of this machine, found more")
    if batch_size % (count * together):
        what = f"--devices {count}" if together == 1 else f"TF_CONFIG: {together} machines of {count} devices"
        raise KpError(f"{what}: expected a batch size of equal parts, found {batch_size}")
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
        raise KpError(f"TF_CONFIG: expected addresses HOST:PORT, this machine's free, found: {error}") from None
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


def shared(
    strategy: tf.distribute.Strategy, batches: Callable[[range | None], tf.data.Dataset]
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Batches as `fit` takes them, of which each machine makes only its own part; then again from the start.

    Args:
        batches: makes the dataset of these parts of each batch, one after the other; with None of whole batches.
    """
    together, number = machines()
    if together == 1:
        return batches(None)
    each = strategy.num_replicas_in_sync // together
    mine = range(number * each, (number + 1) * each)
    # without an end machines need not ask each other at each step whether there is more
    return strategy.distribute_datasets_from_function(lambda _: batches(mine).repeat())


def total(strategy: tf.distribute.Strategy, value: int) -> int:
    """The sum of a number over all machines, which wait here for each other."""
    if machines()[0] == 1:
        return value
    return int(strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(value, tf.int64), axis=None))


def check_alike(strategy: tf.distribute.Strategy, content: object) -> None:
    """Refuse machines that would not train the same.

    Args:
        content: what must be the same, of JSON.

    Raises:
        KpError: if it is not.
    """
    digest = int(hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8], 16)
    if total(strategy, digest) != machines()[0] * digest:
        raise KpError(
            "TF_CONFIG: expected all machines to have the same command, photographs and checkpoint, found others"
        )


@contextmanager
def lost_named() -> Iterator[None]:
    """Within its `with`, a machine that is gone is an error of one line.

    Raises:
        KpError: if another machine has ended, or cannot be reached.
    """
    try:
        yield
    except GONE:
        if machines()[0] == 1:
            raise
        raise KpError(
            f"TF_CONFIG: expected all {machines()[0]} machines to the end, found one gone or out of reach (it says "
            "why, if it could). The last finished epoch is kept; --resume on all machines goes on from it"
        ) from None


def synchronize(model: keras.Model) -> None:
    """Let batch norm take its statistics from the parts of all devices, which the fused kernel cannot."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
