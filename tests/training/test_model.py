"""The network of a training, and the weights it starts from."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from training_steps import OWN, THREE, write_own_labels

from kp_tf.artifacts.runs import read_run
from kp_tf.backends.keras_backend import load_keras_network, load_model
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import scale_boxes, to_unit
from kp_tf.core.keypoints import Scheme
from kp_tf.input.decode import stream_crops
from kp_tf.models.build import build_network
from kp_tf.recipes import RECIPES
from kp_tf.training.config import TrainConfig
from kp_tf.training.faces import load
from kp_tf.training.model import (
    _believed,
    _in_rotated_windows,
    compiled,
    copy_weights,
    start_from_init,
    teacher_points,
)

RECIPE = replace(OWN, crop_scale=1.5, stored_scale=2.25)


@pytest.fixture
def run(strong_reactions):
    return strong_reactions


def no_faces():
    pytest.fail("no face needs to be seen")


def test_other_points_begin_as_the_nearest_of_the_old(run):
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 16, 16, 1)).astype(np.float32)
    old = load_model(read_run(run)).predict_on_batch(images)
    assert old.std(axis=(0, 1)).min() > 0.05
    points = old[:, [2, 0, 1, 0]] + 0.001
    points[0, 3] = np.nan
    model = build_network(RECIPE, 4, seed=1)
    copy_weights(model, read_run(run), "abcd", lambda: (images, points))
    np.testing.assert_allclose(model.predict_on_batch(images), old[:, [2, 0, 1, 0]], atol=1e-6)


def test_the_same_points_keep_all_weights(run):
    model = build_network(RECIPE, 3, seed=1)
    copy_weights(model, read_run(run), THREE.names, no_faces)
    for one, other in zip(model.get_weights(), load_model(read_run(run)).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_of_other_layers_does_not_start_another(run):
    for change in ({"settings": {"widths": (8, 16), "depths": (1, 1)}}, {"shape": (32, 32)}):
        model = build_network(replace(OWN, **change), 3, seed=1)
        with pytest.raises(KpError, match=f"--init {run}: its layers are not those of the network to be trained"):
            copy_weights(model, read_run(run), THREE.names, no_faces)


def test_a_course_network_takes_the_weights_of_the_same_points_alone(tiny_run):
    info = read_run(tiny_run)
    model = build_network(info.recipe, 1, seed=1)
    with pytest.raises(KpError, match=f"--init {tiny_run}: its points are not those of the network to be trained"):
        copy_weights(model, info, ["chin"], no_faces)
    copy_weights(model, info, info.scheme.names, no_faces)
    for one, other in zip(model.get_weights(), load_model(info).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_starts_from_a_run_by_points_seen_in_windows(run, tmp_path):
    """Points that are labelled where the run's network has its third, first and second point become those."""
    labels = write_own_labels(tmp_path / "own")
    loaded = load(TrainConfig(replace(RECIPE, init=str(run)), labels.parent, labels=labels), "CPU")
    old, faces = load_model(read_run(run)), loaded.training
    # without augmentation the window is the middle two thirds of the stored crop, pixel by pixel
    outputs = old.predict_on_batch(faces.crops[:, 4:20, 4:20].astype(np.float32) / 255 - 0.5)
    faces = replace(faces, points_norm=(outputs[:, [2, 0, 1]] * 16 + 4) / 24)
    info = replace(loaded.info, scheme=Scheme("other", tuple("abc"), ()))
    model = build_network(RECIPE, 3, seed=1)
    start_from_init(model, info, faces)
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 16, 16, 1)).astype(np.float32)
    expected = old.predict_on_batch(images)[:, [2, 0, 1]]
    np.testing.assert_allclose(model.predict_on_batch(images), expected, atol=1e-6)


def test_a_teacher_needs_the_same_points(run, tmp_path):
    labels = write_own_labels(tmp_path / "own")
    faces = load(TrainConfig(OWN, labels.parent, labels=labels), "CPU").training
    other = replace(faces, samples=replace(faces.samples, scheme=Scheme("other", tuple("abc"), ())))
    with pytest.raises(KpError, match=r"--teacher .*run: its points are not those of other"):
        teacher_points(replace(RECIPE, teacher=str(run)), other)


def test_a_teacher_is_not_believed_against_labels_or_where_it_is_in_doubt():
    labels = np.full((3, 4, 2), 0.5)
    labels[:, 3] = np.nan
    points, variance = np.nan_to_num(labels, nan=0.2), np.full((3, 4), 0.5)
    points[0, 1] += 0.05  # one point wrong
    points[1, :3] += 0.06  # all points wrong
    variance[:, 3] = 0.2**2, 0.01**2, 0.01**2  # no label, and the teacher in doubt or sure
    kept = ~np.isnan(_believed(points, labels, variance)[..., 0])
    assert kept.tolist() == [[True, False, True, False], [False] * 4, [True] * 4]


def test_a_teacher_without_heatmaps_is_believed_where_there_is_no_label():
    points, labels = np.full((1, 2, 2), 0.3), np.array([[[0.3, 0.3], [np.nan, np.nan]]])
    np.testing.assert_array_equal(_believed(points, labels, np.full((1, 2), np.nan)), points)


def test_a_teacher_sees_rotated_faces_upright(run, tmp_path):
    labels = write_own_labels(tmp_path / "own")
    faces = load(TrainConfig(RECIPE, labels.parent, labels=labels, scheme=THREE), "CPU").training
    windows = np.concatenate([faces.windows, np.full((len(faces), 1), 0.0)], axis=1)
    turned = np.concatenate([faces.windows, np.full((len(faces), 1), 90.0)], axis=1)
    results = []
    for shown in (windows, turned):
        points, variance = _in_rotated_windows(
            load_keras_network(read_run(run)), read_run(run), RECIPE, faces.upright, shown
        )
        assert points.shape == (len(faces), 3, 2)
        assert variance.shape == (len(faces), 3)
        results.append(to_unit(points, scale_boxes(shown, 1.5 / 2.25)))
    images = (
        np.stack([*stream_crops(faces.upright, scale_boxes(windows, 1.5 / 2.25), (16, 16))]).astype("f4") / 255 - 0.5
    )
    network = load_model(read_run(run))
    mirrored = network.predict_on_batch(images[:, :, ::-1])[:, ::-1] * (-1, 1) + (1, 0)
    np.testing.assert_allclose(results[0], (network.predict_on_batch(images) + mirrored) / 2, atol=1e-4)
    assert np.abs(results[1] - results[0]).max() > 0.05, "another rotation of the photograph"


def test_the_learning_rate_warms_up_and_falls_along_a_cosine():
    recipe = replace(OWN, epochs=10, warmup_epochs=2, learning_rate=0.1, weight_decay=0.02)
    optimizer = compiled(build_network(recipe, 3, seed=0), recipe, None, steps=5).optimizer
    rates = []
    for step in (0, 5, 10, 30, 50):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    # over 10 steps from a hundredth; over 40 steps to 0.005 of the highest, half-way in the middle
    np.testing.assert_allclose(rates, [0.001, 0.0505, 0.1, 0.05025, 0.0005], rtol=1e-5)


def test_weight_decay_is_for_kernels_alone():
    recipe = replace(OWN, learning_rate=0.1, weight_decay=0.02, epochs=1)
    fitted = compiled(build_network(recipe, 3, seed=0), recipe, None, steps=5)
    for weight in fitted.trainable_weights:
        weight.assign(np.ones(weight.shape))
    fitted.optimizer.apply([np.zeros(weight.shape, np.float32) for weight in fitted.trainable_weights])
    for weight in fitted.trainable_weights:
        expected = 1 - 0.1 * 0.02 if weight.path.endswith("kernel") else 1
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)


def test_resnet18_learns_what_part_3_asks_of_it():
    recipe = replace(RECIPES["course", 3], shape=(32, 32))
    fitted = compiled(build_network(recipe, 68, seed=0), recipe, None, steps=1)
    fitted.run_eagerly = True  # tracing it takes much longer than two steps
    rng = np.random.default_rng(0)
    batch = rng.uniform(-0.5, 0.5, (4, 32, 32, 1)), rng.uniform(0.2, 0.8, (4, 68, 2))
    losses = [float(fitted.train_on_batch(*batch)) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2] > 0


def test_the_course_trains_with_adam_at_a_constant_rate():
    recipe = RECIPES["course", 1]
    optimizer = compiled(build_network(recipe, 1, seed=0), recipe, None, steps=5).optimizer
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert float(optimizer.learning_rate) == pytest.approx(5e-4)
    assert len(optimizer.variables) > 2, "built before the first step, which would be traced twice otherwise"
