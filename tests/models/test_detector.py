"""The detector's network and its loss."""

import keras
import numpy as np
import pytest

from kp_tf.core.centres import CHANNELS
from kp_tf.models.detector import RARE, DetectorLoss, detector_network
from kp_tf.training.detector.targets import Boxes, render

FACES = Boxes(np.array([[40.0, 44, 30, 30]]), np.array([[100.0, 40, 40]]))


@pytest.fixture(scope="module")
def network():
    return detector_network(0)


def truth_and_prediction(logit_of_centre=6.0):
    """Targets (1, 8, 16, 8) and the cells (1, 8, 16, 6) that say the same."""
    targets = render(FACES, (64, 128))[None]
    cells = np.zeros((*targets.shape[:3], CHANNELS), np.float32)
    cells[..., 0] = np.where(targets[..., 0] > 0.999, logit_of_centre, -8)
    cells[..., 1:] = targets[..., 3:]
    return targets, cells


def loss(targets, cells):
    return float(DetectorLoss()(targets, cells))


@pytest.mark.parametrize("shape", [(32, 32), (64, 128)])
def test_pictures_of_every_size_have_a_cell_for_8_pixels(network, shape):
    cells = np.asarray(network(np.zeros((2, *shape, 1), np.float32)))
    assert cells.shape == (2, shape[0] // 8, shape[1] // 8, CHANNELS)


def test_faces_are_rare_before_training(network):
    cells = np.asarray(network(np.random.default_rng(0).uniform(-0.5, 0.5, (1, 64, 64, 1)).astype("f4")))
    assert 1 / (1 + np.exp(-cells[..., 0])) == pytest.approx(np.full((1, 8, 8), RARE), rel=0.5)


def test_the_seed_determines_the_weights(network):
    for weight, same in zip(network.get_weights(), detector_network(0).get_weights(), strict=True):
        assert (weight == same).all()
    assert any((w != o).any() for w, o in zip(network.get_weights(), detector_network(1).get_weights(), strict=True))


def test_the_truth_has_almost_no_loss():
    assert loss(*truth_and_prediction()) < 0.02


@pytest.mark.parametrize(
    ("channel", "by", "expected"), [(1, 0.2, 0.1), (2, -0.2, 0.1), (3, 0.1, 0.15)], ids=["x", "y", "side"]
)
def test_errors_of_the_box_count_by_their_size(channel, by, expected):
    targets, cells = truth_and_prediction()
    before = loss(targets, cells)
    cells[..., channel] += by
    assert loss(targets, cells) - before == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("angle", "expected"), [(90, 0.5), (180, 1.0)])
def test_errors_of_the_angle_count_by_their_cosine(angle, expected):
    targets, cells = truth_and_prediction()
    before, turn = loss(targets, cells), np.radians(angle)
    cells[..., 4:6] = 3 * cells[..., 4:6] @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    assert loss(targets, cells) - before == pytest.approx(expected, rel=1e-2)


def test_a_missed_face_and_a_false_one_count_and_an_ignored_one_does_not():
    right = loss(*truth_and_prediction())
    assert loss(*truth_and_prediction(logit_of_centre=-4)) > right + 3
    targets, cells = truth_and_prediction()
    cells[0, 5, 12, 0] = 5  # in the ignored place
    assert loss(targets, cells) == pytest.approx(right)
    cells[0, 0, 0, 0] = 5
    assert loss(targets, cells) > right + 3


def test_the_loss_is_saved_with_its_weights():
    restored = keras.losses.deserialize(keras.losses.serialize(DetectorLoss(side=4.0)))
    assert restored.weights == DetectorLoss(side=4.0).weights
