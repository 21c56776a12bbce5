"""Trainings that stop early: on Ctrl-C, and on numbers that are not finite."""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from kp_tf.core.errors import KpError
from kp_tf.training.callbacks import StopOnInterrupt, StopOnNonFinite

STEPS = 4


class Press(keras.callbacks.Callback):
    """Ctrl-C while a batch of the second epoch is computed, or during its validation."""

    def __init__(self, batch=None, times=1):
        super().__init__()
        self.batch, self.times, self.epoch = batch, times, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def press(self, here):
        if self.epoch == 1 and here:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)

    def on_train_batch_begin(self, batch, logs=None):
        self.press(batch == self.batch)

    def on_test_batch_begin(self, batch, logs=None):
        self.press(self.batch is None and batch == 0)


def network(rate=0.1, optimizer=keras.optimizers.SGD):
    """One weight w of start 1: the prediction of x is w x."""
    image = keras.Input((1, 1, 1))
    x = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="only")(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Reshape((1, 1))(x))
    model.compile(optimizer(rate), "mse")
    return model


def fit(model, callbacks, inputs=None, truths=None, epochs=3):
    inputs = np.ones(STEPS) if inputs is None else inputs
    inputs = tf.constant(inputs, tf.float32)[:, None, None, None]
    truths = tf.zeros((STEPS, 1, 1)) if truths is None else tf.constant(truths, tf.float32)[:, None, None]
    batches = tf.data.Dataset.from_tensor_slices((inputs, truths)).batch(1)
    model.fit(batches, epochs=epochs, validation_data=batches, shuffle=False, callbacks=callbacks, verbose=0)


@pytest.mark.parametrize(("batch", "at"), [(2, (2, 3)), (None, (2, STEPS))])
def test_ctrl_c_ends_after_the_batch_it_came_in(batch, at, capfd):
    before = signal.getsignal(signal.SIGINT)
    model = network()
    with StopOnInterrupt() as interruption:
        fit(model, [Press(batch), interruption])
    assert interruption.at == at
    assert model.optimizer.iterations.numpy() == STEPS * (at[0] - 1) + at[1]
    assert "training stops after this batch" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_ends_at_once():
    model = network()
    with pytest.raises(KeyboardInterrupt), StopOnInterrupt() as interruption:
        fit(model, [Press(2, times=2), interruption])
    assert model.optimizer.iterations.numpy() == STEPS + 2


def test_no_ctrl_c_no_interruption():
    with StopOnInterrupt() as interruption:
        fit(network(), [interruption])
    assert interruption.at is None


def refused(inputs, truths=None, rate=0.1):
    model = network(rate)

    def batch_of(epoch, batch):
        truth = 0 if truths is None else truths[batch]
        return tf.fill((1, 1, 1, 1), np.float32(inputs[batch])), tf.fill((1, 1, 1), np.float32(truth))

    with pytest.raises(KpError) as caught:
        fit(model, [StopOnNonFinite(batch_of)], np.array(inputs), truths)
    return str(caught.value)


def test_a_loss_that_is_not_finite_names_the_batch_with_an_input_that_is_none():
    text = refused([1, 1, np.nan, 1])
    assert text.startswith("epoch 1, batch 3: the loss is nan; the largest gradient there is ")
    assert "the largest pixel nan, the largest coordinate 0" in text


def test_a_loss_that_is_not_finite_names_the_batch_whose_gradient_broke_the_weights():
    # loss of the second batch 1e38 × w², gradient 2e38 w: the step of rate 10 leaves float32; seen one batch later
    text = refused([0, 1e19, 1, 1], rate=10.0)
    assert text.startswith("epoch 1, batch 2: the loss is ")
    assert "(only/kernel), the largest pixel 1e+19" in text


def test_a_loss_that_is_not_finite_names_the_last_batch_by_the_validations_loss():
    assert refused([0, 0, 0, 1e19], rate=10.0).startswith("epoch 1, batch 4: the validation loss is ")


def test_a_loss_that_is_not_finite_names_a_truth_that_is_none():
    text = refused([1, 1, 1, 1], truths=[0, np.nan, 0, 0])
    assert text.startswith("epoch 1, batch 2: the loss is nan; the largest gradient there is nan ")
    assert "the largest coordinate nan" in text


class Spoil(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == STEPS - 2:
            self.model.get_layer("idle").kernel.assign([[np.nan]])


def test_weights_that_the_loss_does_not_show_are_checked_too():
    image = keras.Input((1, 1, 1))
    x = keras.layers.Flatten()(image)
    idle = keras.ops.nan_to_num(keras.layers.Dense(1, use_bias=False, name="idle")(x))  # as ReLU on some machines
    model = keras.Model(image, keras.layers.Reshape((1, 1))(keras.layers.Add()([x, idle])))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    finite = StopOnNonFinite(lambda epoch, batch: (tf.ones((1, 1, 1, 1)), tf.zeros((1, 1, 1))))
    with pytest.raises(KpError, match=r"^epoch 1, batch 3: a weight is not finite"):
        fit(model, [finite, Spoil()])
