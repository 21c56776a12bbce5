import keras
import numpy as np
import pytest
import tensorflow as tf

from kp_tf.training.adam import Adam, AdamW


@pytest.mark.parametrize(
    ("ours", "stock", "settings"),
    [
        (Adam, keras.optimizers.Adam, {"epsilon": 1e-8}),
        (AdamW, keras.optimizers.AdamW, {"weight_decay": 0.1, "global_clipnorm": 0.5, "use_ema": True}),
    ],
)
def test_steps_are_those_of_keras(ours, stock, settings):
    rate = keras.optimizers.schedules.CosineDecay(0.01, 10)
    start, random = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4), np.random.default_rng(0)
    optimizers = [each(rate, beta_1=0.8, beta_2=0.95, **settings) for each in (ours, stock)]
    variables = [keras.Variable(start, name="kernel") for _ in optimizers]
    for optimizer, variable in zip(optimizers, variables, strict=True):
        optimizer.build([variable])
    for _ in range(5):
        gradient = tf.constant(random.normal(size=start.shape), tf.float32)
        for optimizer in optimizers:
            optimizer.apply([gradient])
    np.testing.assert_allclose(variables[0].numpy(), variables[1].numpy(), rtol=1e-6)
    for mine, theirs in zip(optimizers[0].variables, optimizers[1].variables, strict=True):
        assert mine.path.split("/")[1:] == theirs.path.split("/")[1:]
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=2e-6)
    assert np.abs(variables[0].numpy() - start).max() > 0.02


def test_a_step_is_the_formula_worked_by_hand():
    optimizer, variable = Adam(0.1, epsilon=1e-8), keras.Variable([1.0, 1.0])
    optimizer.build([variable])
    optimizer.apply([tf.constant([0.5, -2.0])])
    np.testing.assert_allclose(variable.numpy(), [0.9, 1.1], rtol=1e-6)  # the first step is the rate, whatever the size
    optimizer.apply([tf.constant([0.5, 0.0])])
    # m = 0.9 · -0.2 = -0.18, without bias -0.18 / 0.19; v = 0.999 · 0.004, without bias / 0.001999
    second = 1.1 + 0.1 * (0.18 / 0.19) / (0.999 * 0.004 / 0.001999) ** 0.5
    np.testing.assert_allclose(variable.numpy(), [0.8, second], rtol=1e-6)


@pytest.mark.parametrize("adam", [Adam, AdamW])
def test_a_compiled_model_is_saved_with_it(tmp_path, adam):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(adam(0.25), "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "a.keras")
    optimizer = keras.saving.load_model(tmp_path / "a.keras").optimizer
    assert (type(optimizer), float(optimizer.learning_rate)) == (adam, 0.25)


def test_steps_under_a_strategy_are_those_of_keras():
    images, truth = np.random.default_rng(0).normal(size=(2, 16, 3)).astype(np.float32)
    weights = []
    for adam in (Adam, keras.optimizers.Adam):
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="ones")])
            model.compile(adam(0.1), "mse")
        model.fit(images, truth, batch_size=4, verbose=0, shuffle=False)
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(*weights, rtol=1e-5)
    assert np.abs(weights[0] - 1).max() > 0.2
