import numpy as np
import pytest
from PIL import Image

from kp_tf.apps.demo.doubt import expected_errors, look_of, most_useful_first


def test_the_error_to_expect_grows_with_the_heatmaps_and_with_what_the_mirrored_picture_says():
    plain = np.zeros((3, 2, 3))
    plain[0, :, 2] = 0.03**2
    averaged = plain.copy()
    averaged[1:, :, 0] = [[4, 4], [0, 8]]  # pixels, by which the average differs: half of the disagreement
    np.testing.assert_allclose(expected_errors(plain, averaged, np.full(3, 100.0)), [0.03, 0.04, 0.04])
    both = plain.copy()
    both[..., 2] = 0.03**2
    shifted = both + [4, 0, 0]
    np.testing.assert_allclose(expected_errors(both, shifted, np.full(3, 100.0)), 0.05)


def test_a_network_without_heatmaps_is_judged_by_its_disagreement():
    plain = np.full((1, 2, 3), np.nan)
    plain[..., :2] = 0
    assert expected_errors(plain, plain + [0, 5, 0], np.array([50.0])) == pytest.approx(0.1)


def test_the_most_doubtful_come_first_where_none_look_alike():
    apart = list(np.eye(4))
    assert most_useful_first(np.array([1, 4, 3, 2.0]), apart, []) == [1, 2, 3, 0]


def test_what_looks_like_an_earlier_one_or_like_one_that_is_marked_comes_later():
    one, other, third = np.eye(3)
    nearly = (one + 0.01 * other) / np.linalg.norm(one + 0.01 * other)
    doubts = np.array([4, 3.9, 2, 1])
    assert most_useful_first(doubts, [one, nearly, other, third], []) == [0, 2, 3, 1]
    assert most_useful_first(doubts, [one, nearly, other, third], [other]) == [0, 3, 1, 2]


def test_order_of_few_of_many_and_of_none(monkeypatch):
    monkeypatch.setattr("kp_tf.apps.demo.doubt.PICKED", 2)
    assert most_useful_first(np.arange(5.0), list(np.eye(5)), []) == [4, 3, 2, 1, 0]
    assert most_useful_first(np.zeros(0), [], [np.ones(2)]) == []
    assert most_useful_first(np.array([1.0]), [np.ones(2)], []) == [0]
    assert most_useful_first(np.array([1.0, 2]), [np.ones(2), np.ones(2)], []) == [1, 0]


def test_a_look_does_not_depend_on_brightness_and_contrast_and_follows_the_box():
    pixels = np.random.default_rng(0).integers(0, 100, (60, 80), np.uint8)
    box = np.array([20.0, 10, 30, 30])
    look = look_of(Image.fromarray(pixels), box)
    np.testing.assert_allclose(look_of(Image.fromarray(pixels * 2 + 30), box), look, atol=0.02)
    moved = Image.fromarray(np.roll(pixels, 5, axis=1))
    np.testing.assert_allclose(look_of(moved, box + [5, 0, 0, 0]), look, atol=1e-6)
    assert not look_of(Image.new("L", (9, 9), 7), np.array([0.0, 0, 9, 9])).any()
