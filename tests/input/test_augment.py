"""Pixels and points move together, by their own random numbers; every operation in and outside `tf.data`."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from kp_tf.core.keypoints import IBUG68
from kp_tf.input.augment import NUM_DRAWS, augment, flip, training_transform, window
from kp_tf.recipes import COMPACT, PART2, Augmentation

GEOMETRIC = {
    "flip": 1.0,
    "rotation": 20.0,
    "scale": 0.15,
    "shift": 0.04,
    "stretch": 0.15,
    "shear": 0.15,
}
PHOTOMETRIC = {
    "occlusion": 0.7,
    "shadow": 0.7,
    "gamma": 0.4,
    "contrast": 0.4,
    "brightness": 0.2,
    "blur": 0.8,
    "low_resolution": 0.8,
    "noise": 0.8,
    "cut": 0.8,
}
DAMAGES = ("occlusion", "shadow", "low_resolution", "noise", "cut")
EVERYTHING = Augmentation(**(GEOMETRIC | PHOTOMETRIC | {"flip": 0.5}))
PARTNERS = (1, 0, 2, 4, 3)


def blobs(height: int = 180, width: int = 180, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, H, W, 1) float32 of five soft bright dots at the points (N, 5, 2)."""
    rng = np.random.default_rng(1)
    places = np.array([[0.36, 0.4], [0.64, 0.38], [0.5, 0.51], [0.37, 0.63], [0.62, 0.64]])
    points_norm = (places + rng.uniform(-0.02, 0.02, (count, 5, 2))).astype(np.float32)
    x = (np.arange(width) + 0.5)[None, None] - points_norm[..., :1] * width  # (N, 5, W)
    y = (np.arange(height) + 0.5)[None, None] - points_norm[..., 1:] * height
    dots = np.exp(-(x[:, :, None] ** 2 + y[..., None] ** 2) / (2 * 1.5**2)).max(axis=1)
    return (255 * dots[..., None]).astype(np.float32), points_norm


def draws(count: int = 4, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(count, NUM_DRAWS)).astype(np.float32)


def noise(count: int = 4, size: int = 48) -> np.ndarray:
    return np.random.default_rng(2).uniform(0, 255, (count, size, size, 1)).astype(np.float32)


def worst_miss(images: np.ndarray, points_norm: np.ndarray, radius: int = 7) -> float:
    """Largest distance in pixels from a point to the centroid of the light about it."""
    h, w = images.shape[1:3]
    misses = []
    for image, points in zip(images[..., 0], points_norm * (w, h) - 0.5, strict=True):
        for x, y in points:
            top, left = round(float(y)) - radius, round(float(x)) - radius
            assert 0 <= top <= h - 2 * radius - 1
            assert 0 <= left <= w - 2 * radius - 1
            light = image[top : top + 2 * radius + 1, left : left + 2 * radius + 1]
            cy, cx = np.mgrid[: 2 * radius + 1, : 2 * radius + 1]
            total = light.sum()
            assert total > 0
            misses.append(np.hypot((light * cx).sum() / total + left - x, (light * cy).sum() / total + top - y))
    return max(misses)


def numpy_of(pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    return pair[0].numpy(), pair[1].numpy()


@pytest.mark.parametrize("name", [*GEOMETRIC, "all"])
def test_dots_stay_under_their_points(name):
    settings = Augmentation(**(GEOMETRIC if name == "all" else {name: GEOMETRIC[name]}))
    images, points_norm = blobs()
    if settings.flip:  # the picture's own points are where they were drawn, whatever their names
        images, points_norm = numpy_of(flip(images, points_norm, [True] * 4, PARTNERS))
    moved, points = numpy_of(augment(images, points_norm, draws(), settings, PARTNERS, (120, 120), 0.7))
    assert np.abs(points - numpy_of(window(images, points_norm, (120, 120), 0.7))[1]).max() > 0.015
    assert worst_miss(moved, points) < 0.06


def test_dots_stay_under_their_points_in_an_oblong_crop():
    images, points_norm = blobs(180, 240)
    settings = Augmentation(**(GEOMETRIC | {"shear": 0.0, "stretch": 0.0}))
    moved, points = numpy_of(augment(images, points_norm, draws(), settings, PARTNERS, (120, 160), 0.8))
    assert worst_miss(moved, points) < 0.06
    before, after = (
        p * (4, 3) for p in (points_norm[:, list(PARTNERS)], points)
    )  # a turn keeps angles of square pixels
    for shape in before, after:
        shape -= shape[:, 2:3]
    inner = [(p[:, 0] * p[:, 1]).sum(-1) / np.prod(np.linalg.norm(p[:, :2], axis=-1), -1) for p in (before, after)]
    np.testing.assert_allclose(*inner, atol=1e-5)


def test_flip_twice_gives_the_same_back_missing_points_too():
    images, points_norm = blobs()
    points_norm[1, 3] = np.nan
    where = tf.constant([True, True, False, True])
    once = flip(images, points_norm, where, PARTNERS)
    assert np.isnan(once[1][1, 4]).all()
    twice = numpy_of(flip(*once, where, PARTNERS))
    np.testing.assert_array_equal(twice[0], images)
    np.testing.assert_allclose(twice[1], points_norm, atol=1e-6)


def test_flip_changes_only_where_it_says_and_renames_the_points():
    images, points_norm = blobs()
    mirrored, points = numpy_of(flip(images, points_norm, tf.constant([True, False, True, True]), PARTNERS))
    np.testing.assert_array_equal(mirrored[1], images[1])
    np.testing.assert_array_equal(points[1], points_norm[1])
    np.testing.assert_array_equal(mirrored[0], images[0, :, ::-1])
    np.testing.assert_allclose(points[0, 0], [1 - points_norm[0, 1, 0], points_norm[0, 1, 1]], atol=1e-6)


def test_augment_flips_as_flip_does():
    images, points_norm = blobs()
    expected = flip(images, points_norm, tf.constant([True] * 4), PARTNERS)
    result = augment(images, points_norm, draws(), Augmentation(flip=1.0), PARTNERS, (180, 180), 1.0)
    np.testing.assert_allclose(result[0], expected[0], atol=1e-3)
    np.testing.assert_allclose(result[1], expected[1], atol=1e-6)


def test_mirrored_labels_keep_their_offset():
    images, points_norm = blobs()
    plain, offset = (
        augment(images, points_norm, draws(), Augmentation(flip=1.0, flip_offset=size), PARTNERS, (90, 90), 0.5)[1]
        for size in (0.0, 0.01)
    )
    np.testing.assert_allclose(offset - plain, np.broadcast_to((0.02, 0.0), plain.shape), atol=1e-6)


def test_defaults_leave_pixels_and_points_exactly_equal():
    images, points_norm = noise(), blobs()[1]
    result = augment(images, points_norm, draws(), Augmentation(), None, (48, 48), 1.0)
    np.testing.assert_array_equal(result[0], images)
    np.testing.assert_allclose(result[1], points_norm, atol=1e-7)


def test_defaults_show_the_window():
    images, points_norm = noise(), blobs()[1]
    result = augment(images, points_norm, draws(), Augmentation(), None, (32, 32), 2 / 3)
    for a, b in zip(result, window(images, points_norm, (32, 32), 2 / 3), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(result[0], images[:, 8:40, 8:40])
    np.testing.assert_allclose(result[1], (points_norm - 1 / 6) * 1.5, atol=1e-6)


@pytest.mark.parametrize("name", [*PHOTOMETRIC, "all"])
def test_light_changes_pixels_within_the_range_and_moves_no_point(name):
    settings = Augmentation(**(PHOTOMETRIC if name == "all" else {name: PHOTOMETRIC[name]}))
    images, points_norm = noise(count=16), np.repeat(blobs()[1], 4, axis=0)
    result, points = numpy_of(augment(images, points_norm, draws(16), settings, None, (48, 48), 1.0))
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 255
    changed = np.abs(result - images).max(axis=(1, 2, 3)) > 1
    assert changed.mean() > 0.4
    assert changed.all() or name not in ("gamma", "contrast", "brightness", "all")
    np.testing.assert_allclose(points, points_norm, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in PHOTOMETRIC if n not in ("gamma", "contrast", "brightness")])
def test_a_probability_is_how_often_it_happens(name):
    images = tf.repeat(tf.constant(noise(count=1, size=24)), 200, axis=0)
    settings = Augmentation(**{name: 0.25})
    result, _ = numpy_of(augment(images, blobs(24, 24, 200)[1], draws(200), settings, None, (24, 24), 1.0))
    share = (np.abs(result - images).max(axis=(1, 2, 3)) > 1e-3).mean()
    expected = 1 - 0.75**2 if name == "occlusion" else 0.25
    assert abs(share - expected) < 0.1


def test_missing_points_stay_missing_and_alone():
    images, points_norm = blobs()
    points_norm[2, 0] = np.nan
    points = augment(images, points_norm, draws(), EVERYTHING, PARTNERS, (120, 120), 0.7)[1].numpy()
    missing = np.isnan(points).any(axis=-1)
    assert missing.sum() == 1
    assert missing[2, :2].sum() == 1  # itself, or its flip partner


def test_the_blur_spreads_light_and_keeps_it():
    image = np.zeros((1, 33, 33, 1), np.float32)
    image[0, 16, 16] = 200
    numbers = np.full((1, NUM_DRAWS), 0.5, np.float32)  # σ = 2 · (1 − 0.5) along both axes
    result, _ = numpy_of(augment(image, blobs(count=1)[1], numbers, Augmentation(blur=1.0), None, (33, 33), 1.0))
    assert result.sum() == pytest.approx(200, rel=1e-4)
    variance = (result[0, ..., 0].sum(axis=0) * (np.arange(33) - 16) ** 2).sum() / 200
    assert variance == pytest.approx(1, abs=0.02)


def test_the_blur_leaves_a_flat_picture_flat():
    images = np.full((4, 33, 33, 1), 90, np.float32)
    result, _ = numpy_of(augment(images, blobs()[1], draws(), Augmentation(blur=1.0), None, (33, 33), 1.0))
    np.testing.assert_allclose(result, images, rtol=1e-5)


def test_stretch_shear_and_rotation_keep_areas():
    images, points_norm = blobs()
    settings = Augmentation(rotation=20.0, stretch=0.3, shear=0.3)
    points = augment(images, points_norm, draws(), settings, None, (180, 180), 1.0)[1].numpy()
    before, after = (np.linalg.det(shape[:, :2] - shape[:, 2:3]) for shape in (points_norm, points))
    np.testing.assert_allclose(after, before, rtol=1e-4)


def test_the_cut_turns_with_the_picture():
    images = np.full((64, 64, 64, 1), 255, np.float32)
    settings = Augmentation(cut=1.0, rotation=10.0)
    result, _ = numpy_of(augment(images, blobs(24, 24, 64)[1], draws(64), settings, None, (40, 40), 0.5))
    black = (result == 0).mean(axis=(1, 2, 3))
    assert 0.25 < black.max() < 0.4
    assert (black > 0).mean() > 0.8
    edges = (result == 0).any(axis=2)[..., 0].mean(axis=1), (result == 0).any(axis=1)[..., 0].mean(axis=1)
    assert (np.minimum(*edges) > black + 0.02).mean() > 0.5  # an edge along an axis would make them equal


@pytest.mark.parametrize("names", [GEOMETRIC, ("gamma", "contrast", "brightness", "blur"), DAMAGES, None])
def test_tf_data_gives_the_same_as_eager(names):
    whole = GEOMETRIC | dict.fromkeys(DAMAGES, 1.0)
    settings = EVERYTHING if names is None else Augmentation(**{name: (PHOTOMETRIC | whole)[name] for name in names})
    images, points_norm, numbers = noise(), blobs()[1], draws()

    def change(images, points_norm, numbers):
        return augment(images, points_norm, numbers, settings, PARTNERS, (32, 32), 0.7)

    batches = tf.data.Dataset.from_tensor_slices((images, points_norm, numbers)).batch(4)
    inside, outside = next(iter(batches.map(change))), change(images, points_norm, numbers)
    np.testing.assert_allclose(inside[0], outside[0], atol=2e-3)
    np.testing.assert_allclose(inside[1], outside[1], atol=1e-6)


def test_tf_data_flips_as_eager_does():
    images, points_norm = blobs()
    where = np.array([True, False, False, True])
    batches = tf.data.Dataset.from_tensor_slices((images, points_norm, where)).batch(4)
    inside = next(iter(batches.map(lambda i, u, w: flip(i, u, w, PARTNERS))))
    for a, b in zip(inside, flip(images, points_norm, where, PARTNERS), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_picture_does_not_depend_on_its_batch():
    images, points_norm, numbers = noise(), blobs()[1], draws()

    def change(part):
        return augment(images[part], points_norm[part], numbers[part], EVERYTHING, PARTNERS, (32, 32), 0.7)

    whole = change(slice(0, 4))
    for index in range(4):
        alone = change(slice(index, index + 1))
        np.testing.assert_allclose(alone[0][0], whole[0][index], atol=2e-3)
        np.testing.assert_allclose(alone[1][0], whole[1][index], atol=1e-6)


def test_draws_decide_everything():
    images, points_norm = noise(), blobs()[1]
    a, b, c = (
        augment(images, points_norm, draws(seed=s), EVERYTHING, PARTNERS, (32, 32), 0.7)[0].numpy() for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).mean() > 5


def test_flips_without_partners_are_an_error():
    with pytest.raises(ValueError, match="flips need flip_indices"):
        augment(noise(), blobs()[1], draws(), Augmentation(flip=0.5), None, (48, 48), 1.0)


def test_a_window_of_far_fewer_pixels_is_an_error():
    with pytest.raises(ValueError, match="too small"):
        window(noise(), blobs()[1], (16, 16), 1.0)


def test_weaker_augmentation_flips_as_often():
    half = COMPACT.augmentation.weakened(0.5)
    assert (half.flip, half.rotation, half.occlusion) == (0.5, 5.0, 0.15)
    assert (half.first_pass, half.first_pass_rotation) == (0.4, 60.0), "the first pass stays what it is"
    rng, partners = np.random.default_rng(0), IBUG68.flip_indices
    images = rng.uniform(0, 255, (8, *COMPACT.stored_shape, 1)).astype(np.float32)
    points_norm = rng.uniform(0, 1, (8, 68, 2)).astype(np.float32)
    batch = images, points_norm, draws(8)
    result = training_transform(COMPACT, partners, 0.5)(*batch)
    expected = training_transform(replace(COMPACT, augmentation=half), partners)(*batch)
    for one, other in zip(result, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(result[1] - training_transform(COMPACT, partners)(*batch)[1]).max() > 0.01


def test_training_transform_shows_the_window_of_the_recipe():
    recipe = replace(COMPACT, augmentation=Augmentation(), shape=(32, 32), stored_shape=(48, 48), stored_scale=2.04)
    images, points_norm = noise(), blobs()[1]
    result = training_transform(recipe, None)(images, points_norm, draws())
    for one, other in zip(result, window(images, points_norm, (32, 32), 1.36 / 2.04), strict=True):
        np.testing.assert_array_equal(one, other)


def test_points_without_partners_are_not_flipped():
    images, points_norm = noise(), blobs()[1]
    result = training_transform(replace(COMPACT, shape=(32, 32)), None)(images, points_norm, draws())[1]
    same = replace(COMPACT, shape=(32, 32), augmentation=replace(COMPACT.augmentation, flip=0.0))
    np.testing.assert_array_equal(result, training_transform(same, PARTNERS)(images, points_norm, draws())[1])


def test_the_first_pass_sees_any_angle_in_a_larger_window_and_the_last_one_does_not():
    recipe = replace(COMPACT, augmentation=Augmentation(rotation=5.0, first_pass=0.5, first_pass_rotation=60.0))
    points_norm = np.tile([[[0.4, 0.5], [0.6, 0.5]]], (400, 1, 1)).astype(np.float32)
    images, numbers = np.zeros((400, *recipe.stored_shape, 1), np.float32), draws(400)
    moved = training_transform(recipe, None)(images, points_norm, numbers)[1].numpy()
    x, y = np.moveaxis(moved[:, 1] - moved[:, 0], -1, 0)
    angle, first = np.degrees(np.arctan2(y, x)), numbers[:, -5] < 0.5
    assert 0.4 < first.mean() < 0.6
    assert np.abs(angle[~first]).max() < 2.6 * 5
    assert 55 < np.abs(angle[first]).max() <= 60.01
    assert 27 < np.abs(angle[first]).mean() < 33, "uniform"
    sizes = np.hypot(x, y) / (0.2 * recipe.stored_scale / recipe.crop_scale)
    np.testing.assert_allclose(sizes, np.where(first, 1 / recipe.first_pass_scale, 1), rtol=1e-4)


@pytest.mark.parametrize("name", ["first_pass_rotation", "first_pass_scale", "first_pass_shift"])
def test_dots_stay_under_their_points_in_the_first_pass(name):
    change = {"first_pass_rotation": 60.0, "first_pass_scale": 0.15, "first_pass_shift": 0.04}[name]
    settings = Augmentation(first_pass=1.0, **{name: change})
    images, points_norm = blobs()
    moved, points = numpy_of(augment(images, points_norm, draws(), settings, None, (120, 120), 0.7, 1.1))
    assert (
        np.abs(
            points
            - numpy_of(
                augment(images, points_norm, draws(), replace(settings, **{name: 0.0}), None, (120, 120), 0.7, 1.1)
            )[1]
        ).max()
        > 0.015
    )
    assert worst_miss(moved, points) < 0.06


def test_a_recipe_that_stores_its_input_leaves_points_without_partners_alone():
    images, points_norm = blobs(24, 32)
    for one, other in zip(
        training_transform(PART2, None)(images, points_norm, draws()), (images, points_norm), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_recipe_that_stores_its_input_only_flips():
    assert PART2.stored_shape is None
    images, points_norm = blobs(24, 32)
    numbers = draws()
    numbers[:, 0] = [0.1, 0.6, 0.4999, 0.5]
    result = training_transform(PART2, PARTNERS)(images, points_norm, numbers)
    for one, other in zip(result, flip(images, points_norm, [True, False, True, False], PARTNERS), strict=True):
        np.testing.assert_array_equal(one, other)
