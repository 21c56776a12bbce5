"""The heatmap network: places to points, its budget and its seeds."""

from functools import cache

import keras
import numpy as np
import pytest

from kp_tf.models.heatmap import FOLD, SoftArgmax, grid_points, heatmap_network, multiply_adds, with_variance
from kp_tf.models.losses import HeatmapLoss
from kp_tf.recipes import COMPACT

SMALL = {"widths": (8, 8, 16), "depths": (1, 1, 1)}


@cache
def compact() -> keras.Model:
    return heatmap_network((128, 128), 68, seed=0, **COMPACT.settings)


def small(points: int = 3, seed: int = 0) -> keras.Model:
    return heatmap_network((32, 48), points, seed=seed, **SMALL)


def pictures(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, 32, 48, 1)).astype(np.float32)


def scores_of(points_norm: np.ndarray, h: int, w: int, sharpness: float) -> np.ndarray:
    """(1, h, w, FOLD² K) scores whose softmax is a Gaussian of variance 1 / sharpness about each of (K, 2)."""
    distance = ((grid_points(h, w)[:, None] - points_norm) ** 2).sum(axis=-1)  # (places, K)
    return (-sharpness / 2 * distance).reshape(1, h, w, -1).astype(np.float32)


def test_a_gaussian_gives_its_centre_and_its_variance():
    points_norm = np.array([[0.5, 0.5], [0.31, 0.64], [0.8, 0.22]])
    points, variance = SoftArgmax(3)(scores_of(points_norm, 18, 22, 1 / 0.05**2))
    np.testing.assert_allclose(points[0], points_norm, atol=1e-4)
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
    points_norm = np.array([[-0.02, 0.5], [0.5, 1.03]])
    points, _ = SoftArgmax(2)(scores_of(points_norm, 18, 18, 1 / 0.015**2))
    np.testing.assert_allclose(points[0], points_norm, atol=2e-3)


def test_places_go_along_with_the_cells_that_score_them():
    places = grid_points(6, 8).reshape(6, 8, FOLD, FOLD, 2)
    np.testing.assert_allclose(places[2, 5].mean(axis=(0, 1)), (4.5 / 6, 1.5 / 4), atol=1e-6)
    np.testing.assert_allclose(places[0, 0, 0, 1] - places[0, 0, 0, 0], (1 / 12, 0), atol=1e-6)


def test_outputs_have_the_shapes_of_the_points():
    model = small(points=5)
    assert model.output.shape == (None, 5, 2)
    moments = with_variance(model)(pictures()).numpy()
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
    assert multiply_adds(with_variance(compact())) == multiply_adds(compact())


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
        model = with_variance(small())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("stem_conv").compute_dtype == "bfloat16"
    for name in ("scores", "landmarks", "with_variance"):
        assert model.get_layer(name).compute_dtype == "float32"
    result = model(pictures()).numpy()
    assert result.dtype == np.float32
    assert len(np.unique(result)) > 0.9 * result.size  # bfloat16 has 128 numbers from 0.5 to 1


def test_training_moves_points_to_the_truth():
    model = heatmap_network((32, 48), 3, seed=0, widths=(8, 8), depths=(1, 1))
    truth = np.random.default_rng(3).uniform(0.2, 0.8, (4, 3, 2)).astype(np.float32)
    truth[0, 1] = np.nan
    trainee = with_variance(model)
    loss = HeatmapLoss(10, 2, 48, variance_weight=0.1)
    trainee.compile(keras.optimizers.Adam(0.01), loss, run_eagerly=True)  # tracing takes longer than all steps
    history = trainee.fit(pictures(), truth, epochs=12, batch_size=4, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < 0.6 * history[0]
