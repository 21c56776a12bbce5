"""A network finds what it was trained on itself: discs, wherever they are."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from discs import DISC_SIDES_INFO, disc_sides
from helpers import DISC_SIZE, draw_discs, write_run
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.geometry import overlaps
from kp_tf.predict import search as search_module
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.search import search


@pytest.mark.parametrize("centre", [(60, 60), (250, 35), (28, 88)], ids=str)
def test_a_network_finds_the_disc_that_it_knows(centre):
    (box,) = search(disc_sides, DISC_SIDES_INFO, Image.fromarray(draw_discs(centre)))
    assert overlaps(box[None], np.array([*np.subtract(centre, DISC_SIZE / 2), DISC_SIZE, DISC_SIZE]))[0] > 0.6
    (face,) = Predictor(DISC_SIDES_INFO, disc_sides, "network").predict(draw_discs(centre))
    np.testing.assert_allclose(face.points.mean(axis=0), centre, atol=2)


def test_each_disc_is_found_once_and_nothing_where_there_is_none():
    boxes = search(disc_sides, DISC_SIDES_INFO, Image.fromarray(draw_discs((50, 60), (160, 40), (270, 80))))
    assert sorted((boxes[:, 0] + boxes[:, 2] / 2).round(-1).tolist()) == [50, 160, 270]
    assert search(disc_sides, DISC_SIDES_INFO, Image.fromarray(draw_discs())).shape == (0, 4)
    assert Predictor(DISC_SIDES_INFO, disc_sides, "network").predict(draw_discs()) == []


def test_what_is_less_sharp_than_usual_is_left_out():
    disc = Image.fromarray(draw_discs((60, 60)))
    for usual, count in ((0.02, 1), (0.005, 0)):  # its heatmaps have 0.01
        info = replace(DISC_SIDES_INFO, metrics={"max_deviation": 0.1, "usual_deviation": usual})
        assert len(search(disc_sides, info, disc)) == count


def test_a_part_of_a_thing_that_is_found_is_not_another_thing():
    boxes = np.array([[0.0, 0, 100, 100], [60, 60, 44, 44], [70, 70, 60, 60], [10, 10, 200, 200]])
    variance = np.array([[0.02], [0.03], [0.04], [0.05]]) ** 2
    assert search_module._distinct(boxes, variance, search_module.NESTED) == [0, 2]
    assert search_module._distinct(boxes, variance) == [0, 1, 2, 3], "before they move onto their points"


def test_a_network_without_heatmaps_cannot(tmp_path):
    info = replace(DISC_SIDES_INFO, recipe=replace(DISC_SIDES_INFO.recipe, network="resnet18"))
    with pytest.raises(KpError, match="discs has no heatmaps, by which a network finds things itself: pass a box"):
        search(disc_sides, info, Image.fromarray(draw_discs()))


def test_a_predictor_that_searches_can_be_pickled(tmp_path):
    predictor = Predictor.load(write_run(tmp_path / "run"), "network")
    frame = draw_discs((60, 60))
    found, again = (one.predict(frame) for one in (predictor, pickle.loads(pickle.dumps(predictor))))
    np.testing.assert_array_equal([face.box for face in found], [face.box for face in again])
