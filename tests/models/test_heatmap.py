"""The heatmap network: places to points, its budget and its seeds; and the losses it is trained with."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import math
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from kp_tf.backends.engines import three
from kp_tf.backends.inference import predict_crops
from kp_tf.models.heatmap import (
    FOLD,
    SoftArgmax,
    heatmap_network,
    multiply_adds,
    places_of,
    with_spread,
)
from kp_tf.models.losses import heatmap_loss, nme, spread_likelihood, wing
from kp_tf.recipes import COMPACT

SMALL = {"widths": (8, 8, 16), "depths": (1, 1, 1)}


@cache
def compact() -> keras.Model:
    return heatmap_network((128, 128), 68, seed=0, **COMPACT.settings)


def small(points: int = 3, seed: int = 0) -> keras.Model:
    return heatmap_network((32, 48), points, seed=seed, **SMALL)


def pictures(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, 32, 48, 1)).astype(np.float32)


def scores_of(units: np.ndarray, h: int, w: int, sharpness: float) -> np.ndarray:
    """(1, h, w, FOLD² K) scores whose softmax is a Gaussian of variance 1 / sharpness about each of (K, 2)."""
    distance = ((places_of(h, w)[:, None] - units) ** 2).sum(axis=-1)  # (places, K)
    return (-sharpness / 2 * distance).reshape(1, h, w, -1).astype(np.float32)


def test_a_gaussian_gives_its_centre_and_its_variance():
    units = np.array([[0.5, 0.5], [0.31, 0.64], [0.8, 0.22]])
    points, variance = SoftArgmax(3)(scores_of(units, 18, 22, 1 / 0.05**2))
    np.testing.assert_allclose(points[0], units, atol=1e-4)
    np.testing.assert_allclose(variance[0], 2 * 0.05**2, rtol=0.01)


def test_a_single_place_gives_its_own_centre():
    h, w = 6, 8  # four by six cells of the window, eight by twelve places, and a margin of one cell
    for place, (x, y) in {(0, 0): (-1.5 / 12, -1.5 / 8), (2, 2): (0.5 / 12, 0.5 / 8)}.items():
        row, column = place
        scores = np.zeros((1, h, w, FOLD, FOLD, 1), np.float32)
        scores[0, row // FOLD, column // FOLD, row % FOLD, column % FOLD] = 100
        points, variance = SoftArgmax(1)(scores.reshape(1, h, w, FOLD**2))
        np.testing.assert_allclose(points[0, 0], (x, y), atol=1e-6)
        np.testing.assert_allclose(variance, 0, atol=1e-6)


def test_points_outside_the_window_can_be_expressed():
    units = np.array([[-0.02, 0.5], [0.5, 1.03]])
    points, _ = SoftArgmax(2)(scores_of(units, 18, 18, 1 / 0.015**2))
    np.testing.assert_allclose(points[0], units, atol=2e-3)


def test_places_go_along_with_the_cells_that_score_them():
    places = places_of(6, 8).reshape(6, 8, FOLD, FOLD, 2)
    np.testing.assert_allclose(places[2, 5].mean(axis=(0, 1)), (4.5 / 6, 1.5 / 4), atol=1e-6)
    np.testing.assert_allclose(places[0, 0, 0, 1] - places[0, 0, 0, 0], (1 / 12, 0), atol=1e-6)


def test_outputs_have_the_shapes_of_the_points():
    model = small(points=5)
    assert model.output.shape == (None, 5, 2)
    moments = with_spread(model)(pictures()).numpy()
    assert moments.shape == (4, 5, 3)
    np.testing.assert_array_equal(moments[..., :2], model(pictures()))
    assert (moments[..., 2] > 0).all()


def test_compact_keeps_its_budget():
    assert compact().count_params() <= 1_500_000  # 3 MB in float16
    assert multiply_adds(compact()) <= 150_000_000


def test_multiply_adds_are_counted_by_hand():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, 2, "same")(image)  # 4 × 4 × (3 × 3 × 3 × 4)
    x = keras.layers.Dense(5)(keras.layers.Flatten()(x))  # 64 × 5
    assert multiply_adds(keras.Model(image, x)) == 16 * 108 + 320
    assert multiply_adds(with_spread(compact())) == multiply_adds(compact())


def test_a_seed_fixes_the_weights_and_each_layer_has_its_own():
    first, same, other = small(seed=1), small(seed=1), small(seed=2)
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [w.numpy() for model in (first, other) for w in model.weights if w.name == "kernel"]
    beginnings = {round(float(k.ravel()[0] / k.std()), 5) for k in kernels}
    assert len(beginnings) == len(kernels)


def test_layers_are_named_by_their_place():
    names = [layer.name for layer in small().layers]
    assert {"image", "stem_conv", "stage2_block1_project_conv", "up2_add", "scores", "landmarks"} <= set(names)
    assert names == [layer.name for layer in small().layers]


def test_a_picture_that_the_stages_do_not_divide_is_an_error():
    with pytest.raises(ValueError, match="multiples of 16"):
        heatmap_network((120, 128), 3, seed=0, **SMALL)


def test_a_saved_network_gives_the_same_points(tmp_path):
    model = small()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(pictures()), model(pictures()), atol=1e-6)


def test_coordinates_are_computed_in_float32_in_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = with_spread(small())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("stem_conv").compute_dtype == "bfloat16"
    for name in ("scores", "landmarks", "with_spread"):
        assert model.get_layer(name).compute_dtype == "float32"
    found = model(pictures()).numpy()
    assert found.dtype == np.float32
    assert len(np.unique(found)) > 0.9 * found.size  # bfloat16 has 128 numbers from 0.5 to 1


def test_training_moves_points_to_the_truth():
    model = small()
    truth = np.random.default_rng(3).uniform(0.2, 0.8, (4, 3, 2)).astype(np.float32)
    truth[0, 1] = np.nan
    trainee = with_spread(model)
    trainee.compile(keras.optimizers.Adam(0.01), heatmap_loss(10, 2, 48, spread=0.1))
    history = trainee.fit(pictures(), truth, epochs=25, batch_size=4, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < 0.6 * history[0]


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
    """(1, K, 3) as `with_spread` gives them."""
    return np.concatenate([places, np.array(variances)[:, None]], axis=1)[None].astype(np.float32)


def test_spread_likelihood_is_counted_by_hand():
    found = moments_of([[0.03, 0.04], [0, 0], [0.1, 0]], [0.03**2, 0.06**2, 0.0])  # 5, 0 and 10 pixels off
    truth = np.zeros((1, 3, 2), np.float32)
    s = [math.hypot(3, 0.5), math.hypot(6, 0.5), 0.5]
    each = [math.log(s[0]) + 5 / s[0], math.log(s[1]), math.log(s[2]) + 10 / s[2]]
    assert float(spread_likelihood(found, truth, 100)) == pytest.approx(sum(each) / 3, rel=1e-4)
    truth[0, 1] = np.nan
    assert float(spread_likelihood(found, truth, 100)) == pytest.approx((each[0] + each[2]) / 2, rel=1e-4)


def test_spread_likelihood_is_least_where_the_spread_is_the_error_and_moves_no_point():
    truth = np.zeros((1, 1, 2), np.float32)
    values = [float(spread_likelihood(moments_of([[0.05, 0]], [s**2]), truth, 100)) for s in (0.04, 0.05, 0.06)]
    assert values[1] < min(values[0], values[2])
    found = tf.constant(moments_of([[0.05, 0]], [0.08**2]))
    with tf.GradientTape() as tape:
        tape.watch(found)
        value = spread_likelihood(found, truth, 100)
    gradient = tape.gradient(value, found).numpy()[0, 0]
    np.testing.assert_array_equal(gradient[:2], 0)
    assert gradient[2] > 0  # a spread above the error shrinks


def test_missing_points_have_no_gradient_and_no_weight():
    truth = np.full((2, 3, 2), 0.4, np.float32)
    truth[1, 2] = np.nan
    prediction = tf.constant(np.random.default_rng(0).uniform(0.1, 0.9, (2, 3, 3)).astype(np.float32))
    loss = heatmap_loss(10, 2, 100, spread=0.5)
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
    found = tf.zeros((1, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(found)
        value = spread_likelihood(found, np.zeros((1, 2, 2), np.float32), 100)
    assert np.isfinite(tape.gradient(value, found)).all()


def test_heatmap_loss_mixes_truth_and_teacher():
    settings = {"w": 10.0, "epsilon": 2.0, "pixels": 100.0, "spread": 0.0}
    truth, prediction = np.zeros((1, 1, 2), np.float32), np.array([[[0.02, 0.02, 0]]], np.float32)
    taught = np.concatenate([truth, np.full((1, 1, 2), 0.06, np.float32)], axis=1)
    # 2 pixels from the truth, 4 from the teacher
    near, far = 10 * math.log(1 + 2 / 2), 10 * math.log(1 + 4 / 2)
    loss = heatmap_loss(**settings, teacher=0.25)
    assert float(loss(truth, prediction)) == pytest.approx(near, rel=1e-5)
    mixed = loss(taught, prediction)
    assert float(mixed) == pytest.approx(0.75 * near + 0.25 * far, rel=1e-5)
    eyes = np.array([[[0.0, 0.0], [0.1, 0.0]]], np.float32)
    off = np.concatenate([eyes + [0.0, 0.01], np.zeros((1, 2, 1))], axis=-1)
    assert float(nme((0, 1))(np.concatenate([eyes, eyes + 1], axis=1), off)[0]) == pytest.approx(0.1, rel=1e-5)


def test_flip_average_of_a_mirrored_picture_is_mirrored():
    model, images, mirror = small(), pictures(), (1, 0, 2)

    def network(crops):
        return three(model.predict_on_batch(crops))

    plain, turned = (predict_crops(network, images[:, :, ::way], mirror)[..., :2] for way in (1, -1))
    np.testing.assert_allclose(turned, plain[:, list(mirror)] * (-1, 1) + (1, 0), atol=1e-5)
    assert np.abs(plain - model.predict_on_batch(images)).max() > 1e-3
