"""One training on several devices of this machine, which see the same weights and equal parts of each batch."""

import keras
import tensorflow as tf

from kp_tf.errors import KpError


def strategy_of(devices: int | None, batch_size: int) -> tf.distribute.Strategy:
    """TensorFlow's strategy for so many devices; to be called before TensorFlow has used any.

    Args:
        devices: how many of the GPUs; None takes all. Where there is none, the CPU is divided, which shows that
            it works and saves no time.
        batch_size: of all devices together.

    Raises:
        KpError: if there are fewer GPUs, or the batch has no equal parts.
    """
    gpus = tf.config.list_physical_devices("GPU")
    count = devices or max(1, len(gpus))
    if count == 1:
        return tf.distribute.get_strategy()
    if gpus and count > len(gpus):
        raise KpError(f"--devices {count}: expected at most the {len(gpus)} GPUs of this machine, found more")
    if batch_size % count:
        raise KpError(f"--devices {count}: expected a batch size of equal parts, found {batch_size}")
    if not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    kind = "GPU" if gpus else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(count)])


def synchronize(model: keras.Model) -> None:
    """Let batch norm take its statistics from the parts of all devices, which the fused kernel cannot."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
