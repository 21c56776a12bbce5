"""Callbacks: stop on Ctrl-C, stop on numbers that are not finite."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kp_tf.core.errors import KpError

MESSAGE = b"\nCtrl-C: training stops after this batch and keeps its results; press it again to stop at once\n"


class StopOnInterrupt(keras.callbacks.Callback):
    """Within its `with` block, Ctrl-C stops the training after the batch; a second one stops it at once.

    Attributes:
        at: the last epoch and batch, counted from 1; None if the training was not interrupted.
    """

    model: keras.Model  # while it trains

    def __init__(self, anywhere: Callable[[bool], bool] = bool) -> None:
        """`anywhere` maps whether this machine was asked to stop to whether any machine was."""
        super().__init__()
        self.at: tuple[int, int] | None = None
        self._anywhere = anywhere
        self._asked, self._before, self._last = False, None, (0, 0)

    def __enter__(self) -> "StopOnInterrupt":
        if threading.current_thread() is threading.main_thread():  # no other may set a handler
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        os.write(2, MESSAGE)  # print may be what was interrupted
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._last = epoch + 1, 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._last = self._last[0], batch + 1
        self._stop()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._stop()  # it may have been pressed during validation

    def _stop(self) -> None:
        if self._anywhere(self._asked):
            self.at, self.model.stop_training = self._last, True


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops the training when a loss is not finite, and reports where the numbers grew.

    It keeps the weights from before the last two steps, because a gradient that is not finite shows in the loss of the
    next batch only. Reading a variable does not copy it; the step that follows does. It comes before `Checkpoint` among
    the callbacks, so that nothing is kept of such an epoch.
    """

    model: keras.Model  # while it trains

    def __init__(self, batch_of: Callable[[int, int], tuple[tf.Tensor, tf.Tensor]]) -> None:
        """`batch_of` returns images and points of a batch of an epoch, both counted from 0, as they were trained on."""
        super().__init__()
        self._batch_of = batch_of
        self._epoch, self._steps = 0, []  # (epoch, batch, weights before it)
        self._read = tf.function(lambda: [weight.value.read_value() for weight in self.model.weights])

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._steps = [*self._steps[-1:], (self._epoch, batch, self._read())]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not np.isfinite(logs["loss"]):
            self._end(f"the loss is {float(logs['loss'])}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not np.isfinite(logs["val_loss"]):  # the epoch's last step is in no other loss
            self._end(f"the validation loss is {float(logs['val_loss'])}")
        if not _are_finite([weight.value for weight in self.model.weights]):  # a ReLU can turn NaN into 0
            self._end("a weight is not finite")

    def _end(self, reason: str) -> None:
        epoch, batch, weights = next((step for step in self._steps[::-1] if _are_finite(step[2])), self._steps[0])
        for variable, value in zip(self.model.weights, weights, strict=True):
            variable.assign(value)
        images, points = self._batch_of(epoch, batch)
        gradient, path = self._largest_gradient(images, points)
        raise KpError(
            f"epoch {epoch + 1}, batch {batch + 1}: {reason}; the largest gradient there is "
            f"{gradient:.3g} ({path}), the largest pixel {_largest(images):.3g}, the largest "
            f"coordinate {_largest(points):.3g}. The last finished epoch is kept; try a lower --learning-rate"
        )

    def _largest_gradient(self, images: tf.Tensor, points: tf.Tensor) -> tuple[float, str]:
        weights = self.model.trainable_weights
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(images, points, self.model(images, training=True))
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        sizes = [_largest(gradient) for gradient in gradients]
        first = int(np.argmax(np.nan_to_num(sizes, nan=np.inf, posinf=np.inf)))
        return sizes[first], weights[first].path


def _are_finite(weights: list[tf.Tensor]) -> bool:
    return all(bool(tf.reduce_all(tf.math.is_finite(weight))) for weight in weights if weight.dtype.is_floating)


def _largest(values: Any) -> float:
    """The largest magnitude; NaN if any value is NaN."""
    return float(tf.reduce_max(tf.abs(tf.cast(values, tf.float32))))
