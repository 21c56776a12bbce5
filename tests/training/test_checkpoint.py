"""The file that a training resumes from."""

import resource
import signal

import keras
import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.training.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def fitted():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(200, name="hidden"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 1)))
    return model


def kept(folder, model, epochs=1):
    checkpoint = Checkpoint(folder, model)
    checkpoint.set_model(model)
    for epoch in range(epochs):
        epoch_of(checkpoint, epoch)
    return checkpoint


def epoch_of(checkpoint, number, batches=2, val_loss=2.0):
    checkpoint.set_params({"steps": 2})
    checkpoint.on_epoch_begin(number)
    for batch in range(batches):
        checkpoint.on_train_batch_end(batch)
    checkpoint.on_epoch_end(number, {"loss": 1.0, "val_loss": val_loss})


def test_restores_weights_and_optimizer_to_the_last_bit(fitted, tmp_path):
    kept(tmp_path, fitted, epochs=2)
    before = [variable.numpy() for variable in [*fitted.weights, *fitted.optimizer.variables]]
    fitted.train_on_batch(np.ones((2, 3)), np.zeros((2, 1)))
    again = Checkpoint(tmp_path, fitted)
    assert again.restore(fitted) == 2
    assert [row["epoch"] for row in again.rows] == [0, 1]
    for variable, value in zip([*fitted.weights, *fitted.optimizer.variables], before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def trained_with(model, keep, folder, val_losses, killed_after=()):
    """The checkpoint and the weights after each epoch; where the process is killed, another one resumes."""
    checkpoint, after = Checkpoint(folder, model, keep), []
    for epoch, val_loss in enumerate(val_losses):
        model.train_on_batch(np.ones((2, 3)), np.zeros((2, 1)))
        checkpoint.set_model(model)
        epoch_of(checkpoint, epoch, val_loss=val_loss)
        after.append(model.get_weights())
        if epoch + 1 in killed_after:
            checkpoint = Checkpoint(folder, model, keep)
            checkpoint.restore(model)
    return checkpoint, after


@pytest.mark.parametrize("killed_after", [(), (1,), (2,), (3,), (1, 2, 3, 4)])
def test_the_best_epoch_is_kept_also_if_the_training_was_killed(fitted, tmp_path, killed_after):
    checkpoint, after = trained_with(fitted, "best", tmp_path, [3.0, 1.0, 2.0, 1.0], killed_after=killed_after)
    assert checkpoint.kept == 2
    for kept_weight, weight in zip(checkpoint.kept_weights(), after[1], strict=True):
        np.testing.assert_array_equal(kept_weight, weight)
    assert np.abs(after[1][0] - after[3][0]).max() > 0
    epoch_of(checkpoint, 4, batches=1, val_loss=0.0)
    assert checkpoint.kept == 2, "an epoch that was cut off is never the best one"


def test_the_best_epochs_weights_are_averages_where_the_optimizer_keeps_them(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    checkpoint, after = trained_with(model, "best", tmp_path, [3.0, 2.0])
    np.testing.assert_allclose(checkpoint.kept_weights()[0], (after[0][0] + after[1][0]) / 2, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], after[1][0], atol=1e-6)


def test_the_last_epoch_is_kept_unless_the_best_is_asked_for(fitted, tmp_path):
    checkpoint, after = trained_with(fitted, "last", tmp_path, [3.0, 1.0, 2.0])
    assert checkpoint.kept == 3
    np.testing.assert_array_equal(checkpoint.kept_weights()[0], after[2][0])
    epoch_of(checkpoint, 3, batches=1)
    assert checkpoint.kept == 4
    assert Checkpoint(tmp_path / "new", fitted, "best").kept == 0


def test_an_epoch_that_was_cut_off_is_not_kept(fitted, tmp_path):
    checkpoint = kept(tmp_path, fitted)
    before = checkpoint.path.read_bytes()
    epoch_of(checkpoint, 1, batches=1)
    assert checkpoint.path.read_bytes() == before
    assert len(checkpoint.rows) == 1
    assert [row["epoch"] for row in checkpoint.unfinished] == [1]


def test_a_full_disk_keeps_the_last_checkpoint(fitted, tmp_path):
    checkpoint = kept(tmp_path, fitted)
    before = checkpoint.path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # a real write that stops half-way
        with pytest.raises(KpError, match=r"cannot write .*checkpoint\.npz: File too large"):
            epoch_of(checkpoint, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert checkpoint.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.npz", "history.csv"]
