import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kp_tf.models.losses import NME, HeatmapLoss, WingLoss, laplace_nll, nme, wing


def test_wing_is_what_the_paper_says():
    truth = np.zeros((1, 2, 2), np.float32)
    prediction = np.array([[[0.01, 0.0], [0.05, -0.3]]], np.float32)  # 1, 0, 5 and 30 pixels of 100
    offset = 10 - 10 * math.log(6)
    expected = (10 * math.log(1.5) + 0 + 10 * math.log(3.5) + 30 - offset) / 4
    assert float(wing(prediction, truth, 10, 2, 100)) == pytest.approx(expected, rel=1e-5)


def test_wing_is_continuous_where_its_parts_meet():
    below, above = (float(wing(np.full((1, 1, 2), e), np.zeros((1, 1, 2)), 10, 2, 100)) for e in (0.09999, 0.10001))
    assert above - below == pytest.approx(0, abs=0.01)


def moments_of(places: list, variances: list) -> np.ndarray:
    """(1, K, 3) as `with_variance` gives them."""
    return np.concatenate([places, np.array(variances)[:, None]], axis=1)[None].astype(np.float32)


def test_laplace_nll_is_counted_by_hand():
    result = moments_of([[0.03, 0.04], [0, 0], [0.1, 0]], [0.03**2, 0.06**2, 0.0])  # 5, 0 and 10 pixels off
    truth = np.zeros((1, 3, 2), np.float32)
    s = [math.hypot(3, 0.5), math.hypot(6, 0.5), 0.5]
    each = [math.log(s[0]) + 5 / s[0], math.log(s[1]), math.log(s[2]) + 10 / s[2]]
    assert float(laplace_nll(result, truth, 100)) == pytest.approx(sum(each) / 3, rel=1e-4)
    truth[0, 1] = np.nan
    assert float(laplace_nll(result, truth, 100)) == pytest.approx((each[0] + each[2]) / 2, rel=1e-4)


def test_laplace_nll_is_least_where_the_deviation_is_the_error_and_moves_no_point():
    truth = np.zeros((1, 1, 2), np.float32)
    values = [float(laplace_nll(moments_of([[0.05, 0]], [s**2]), truth, 100)) for s in (0.04, 0.05, 0.06)]
    assert values[1] < min(values[0], values[2])
    result = tf.constant(moments_of([[0.05, 0]], [0.08**2]))
    with tf.GradientTape() as tape:
        tape.watch(result)
        value = laplace_nll(result, truth, 100)
    gradient = tape.gradient(value, result).numpy()[0, 0]
    np.testing.assert_array_equal(gradient[:2], 0)
    assert gradient[2] > 0  # a deviation above the error shrinks


def test_missing_points_have_no_gradient_and_no_weight():
    truth = np.full((2, 3, 2), 0.4, np.float32)
    truth[1, 2] = np.nan
    prediction = tf.constant(np.random.default_rng(0).uniform(0.1, 0.9, (2, 3, 3)).astype(np.float32))
    loss = HeatmapLoss(10, 2, 100, variance_weight=0.5)
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(truth, prediction)
    gradient = tape.gradient(value, prediction).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1, 2], 0)
    assert (gradient[0] != 0).all()
    present = ~np.isnan(truth[..., 0])
    alone = loss(truth[present][None], prediction.numpy()[present][None])
    assert float(value) == pytest.approx(float(alone), rel=1e-5)


def test_without_any_point_the_loss_is_zero():
    assert float(wing(np.ones((1, 2, 2)), np.full((1, 2, 2), np.nan), 10, 2, 100)) == 0


def test_a_heatmap_of_one_place_alone_has_a_finite_gradient():
    result = tf.zeros((1, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(result)
        value = laplace_nll(result, np.zeros((1, 2, 2), np.float32), 100)
    assert np.isfinite(tape.gradient(value, result)).all()


def test_heatmap_loss_mixes_truth_and_teacher():
    settings = {"w": 10.0, "epsilon": 2.0, "pixels": 100.0, "variance_weight": 0.0}
    truth, prediction = np.zeros((1, 1, 2), np.float32), np.array([[[0.02, 0.02, 0]]], np.float32)
    taught = np.concatenate([truth, np.full((1, 1, 2), 0.06, np.float32)], axis=1)
    # 2 pixels from the truth, 4 from the teacher
    near, far = 10 * math.log(1 + 2 / 2), 10 * math.log(1 + 4 / 2)
    loss = HeatmapLoss(**settings, teacher_weight=0.25)
    assert float(loss(truth, prediction)) == pytest.approx(near, rel=1e-5)
    mixed = loss(taught, prediction)
    assert float(mixed) == pytest.approx(0.75 * near + 0.25 * far, rel=1e-5)


def test_nme_is_counted_by_hand():
    truth = np.array([[[0.0, 0.0], [0.1, 0.0], [0.05, 0.05]]] * 4, np.float32)
    prediction = np.concatenate([truth + [0.0, 0.01], np.zeros((4, 3, 1))], axis=-1).astype(np.float32)
    prediction[:, 2, 0] += 0.04
    truth[1, 2] = np.nan  # the other two are 0.01 off
    truth[2, 0] = np.nan  # an eye
    truth[3] = np.nan
    third = math.hypot(0.04, 0.01)
    expected = [(0.02 + third) / 3 / 0.1, 0.1, 0, 0]
    np.testing.assert_allclose(nme(truth, prediction, (0, 1)), expected, rtol=1e-4)
    taught = np.concatenate([truth, truth + 1], axis=1)
    np.testing.assert_allclose(nme(taught, prediction, (0, 1)), expected, rtol=1e-4)


def test_a_compiled_model_is_saved_and_loaded_with_its_loss_and_metric(tmp_path):
    images, truth = np.zeros((2, 1)), np.random.default_rng(0).uniform(size=(2, 3, 2)).astype(np.float32)
    for loss, outputs in ((WingLoss(5, 1, 60), 2), (HeatmapLoss(5, 1, 60, 0.5, 0.25), 3)):
        layers = [keras.Input((1,)), keras.layers.Dense(3 * outputs), keras.layers.Reshape((3, outputs))]
        model = keras.Sequential(layers)
        model.compile("sgd", loss, metrics=[NME((0, 2))], run_eagerly=True)
        before = model.evaluate(images, truth, verbose=0, return_dict=True)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert loaded.loss.get_config() == loss.get_config()
        loaded.run_eagerly = True
        assert loaded.evaluate(images, truth, verbose=0, return_dict=True) == pytest.approx(before)
        assert before["nme"] == pytest.approx(nme(truth, model(images), (0, 2)).numpy().mean(), rel=1e-5)
