"""What ends a training before its last epoch: Ctrl-C, and numbers that are not finite."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import keras
import numpy as np
import tensorflow as tf

from kp_tf.core.errors import KpError

SAID = b"\nCtrl-C: the training ends after this batch and keeps what it reached; once more ends it at once\n"


class Interruption(keras.callbacks.Callback):
    """Within its `with`, Ctrl-C ends the training after the batch; a second one ends it at once.

    Attributes:
        at: epoch and batch, from 1, that were the last; None while the training was not interrupted.
    """

    def __init__(self, anywhere: Callable[[bool], bool] = bool) -> None:
        """Args: anywhere: whether it was asked for on this machine or, where several train, on another."""
        super().__init__()
        self.at: tuple[int, int] | None = None
        self._anywhere = anywhere
        self._asked, self._before, self._last = False, None, (0, 0)

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # no other may set a handler
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        os.write(2, SAID)  # print may be what was interrupted
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._last = epoch + 1, 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._last = self._last[0], batch + 1
        self._stop()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._stop()  # it may have come during validation

    def _stop(self) -> None:
        if self._anywhere(self._asked):
            self.at, self.model.stop_training = self._last, True


class Finite(keras.callbacks.Callback):
    """Ends the training where a loss is not finite, and says where the numbers grew.

    It keeps the weights from before the last two steps: a gradient that is not finite shows in the loss of the
    next batch only. Reading a variable makes no copy; the step that follows does. Stands before `Checkpoint`
    among the callbacks, so that nothing is kept of an epoch that went wrong.
    """

    def __init__(self, batch_of: Callable[[int, int], tuple[tf.Tensor, tf.Tensor]]) -> None:
        """Args: batch_of: images and points of an epoch's batch, both from 0, as they were trained on."""
        super().__init__()
        self._batch_of = batch_of
        self._epoch, self._steps = 0, []  # (epoch, batch, weights before it)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        weights = [weight.value.read_value() for weight in self.model.weights]
        self._steps = [*self._steps[-1:], (self._epoch, batch, weights)]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not np.isfinite(logs["loss"]):
            self._end(f"a finite loss, found {float(logs['loss'])}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if not np.isfinite(logs["val_loss"]):  # the epoch's last step is in no other loss
            self._end(f"a finite val_loss, found {float(logs['val_loss'])}")
        if not _are_finite([weight.value for weight in self.model.weights]):  # a ReLU makes 0 of NaN
            self._end("finite weights, found others")

    def _end(self, expected: str) -> None:
        epoch, batch, weights = next((step for step in self._steps[::-1] if _are_finite(step[2])), self._steps[0])
        for variable, value in zip(self.model.weights, weights, strict=True):
            variable.assign(value)
        images, points = self._batch_of(epoch, batch)
        gradient, path = self._largest_gradient(images, points)
        raise KpError(
            f"epoch {epoch + 1}, batch {batch + 1}: expected {expected}; there the largest gradient is "
            f"{gradient:.3g} ({path}), the largest pixel {_largest(images):.3g}, the largest "
            f"coordinate {_largest(points):.3g}. The last finished epoch is kept"
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


def _largest(values: tf.Tensor) -> float:
    """The largest magnitude; NaN where there is one."""
    return float(tf.reduce_max(tf.abs(tf.cast(values, tf.float32))))
