"""`kp_tf.load_data`: batches of faces for a `fit` of one's own."""

from dataclasses import replace

import numpy as np
import pytest
from training_steps import OWN, write_own_labels, write_scheme

import kp_tf
from kp_tf.training.config import TrainConfig
from kp_tf.training.face_data import FaceData
from kp_tf.training.faces import load


@pytest.fixture(scope="module")
def part1(imm_data):
    return kp_tf.load_data(1, data=imm_data)


def test_what_the_data_says_of_itself(part1):
    assert (part1.shape, part1.scheme.names, part1.recipe.batch_size) == ((60, 80), ("nose",), 2)
    assert part1.training.files == ("31-1m.jpg", "31-3m.jpg", "32-1m.jpg", "32-3m.jpg")
    assert part1.validation.points.shape == (4, 1, 2)
    network = part1.build_network(seed=1)
    assert (network.input_shape, network.output_shape) == ((None, 60, 80, 1), (None, 1, 2))


def test_batches_hold_images_and_points_in_the_unit_square(part1):
    images, points = next(iter(part1.validation_batches(3)))
    assert (images.shape, images.dtype, points.shape, points.dtype) == ((3, 60, 80, 1), "float32", (3, 1, 2), "float32")
    assert -0.5 <= images.numpy().min() < images.numpy().max() <= 0.5
    expected = (part1.validation.points[:3] + 0.5) / (160, 120)
    np.testing.assert_allclose(points, expected, atol=1e-6)


def test_an_own_fit(part1):
    model = kp_tf.cnn(part1.shape, 1, convs=[(2, 9)], hidden=2)
    model.compile("adam", kp_tf.WingLoss(pixels=60))
    batches = part1.training_batches(3, augment=False)
    assert len(batches) == 2
    history = model.fit(batches, validation_data=part1.validation_batches(), epochs=2, shuffle=False, verbose=0).history
    assert len(history["val_loss"]) == 2
    assert model.predict(part1.validation_batches(), verbose=0).shape == (4, 1, 2)


def test_augmentation_changes_images_and_points_alike_every_epoch(tmp_path):
    labels, scheme = write_own_labels(tmp_path / "own"), write_scheme(tmp_path / "scheme.json")
    config = TrainConfig(replace(OWN, crop_margin=1.36), labels.parent, labels=labels, scheme_file=scheme)
    data = FaceData(load(config, "CPU"))
    plain, augmented = data.training_batches(18, augment=False), data.training_batches(18, seed=3)
    images, points = next(iter(plain))
    assert images.shape == (18, 16, 16, 1), "the window, not the stored crop"
    again_images, again_points = next(iter(plain))
    order = [np.abs(again_images - image).sum(axis=(1, 2, 3)).argmin() for image in images]
    assert order != sorted(order), "another order"
    np.testing.assert_array_equal(again_points.numpy()[order], points)
    first, second = (next(iter(augmented))[1].numpy() for _ in range(2))
    assert np.isnan(first).any(), "a missing point stays missing"
    assert not np.array_equal(np.sort(first[:, 1, 0]), np.sort(second[:, 1, 0]))
    np.testing.assert_array_equal(next(iter(data.training_batches(18, seed=3)))[1], first)


def test_arguments_that_cannot_be_used(part1, imm_data, tmp_path):
    with pytest.raises(kp_tf.KpError, match="there is no folder imm_face_db/"):
        kp_tf.load_data(1, data=tmp_path)
    with pytest.raises(kp_tf.KpError, match="there is no such recipe"):
        kp_tf.load_data(1, data=imm_data, recipe="best")
    for batches in (part1.training_batches, part1.validation_batches):
        with pytest.raises(kp_tf.KpError, match="batch_size must be at least 1, not 0"):
            batches(0)
