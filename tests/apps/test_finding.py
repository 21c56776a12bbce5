import numpy as np
import pytest
from discs import DISC_SIDES_INFO, disc_sides
from helpers import draw_discs
from PIL import Image

from kp_tf.apps.demo import finding
from kp_tf.apps.demo.finding import box_around, find_object, follow_points, network_outputs, usual_box

SHAPE = {"points": [[-1, 0], None, [1, 0]], "centre": [0.5, 0.25], "size": 0.1}
SIZE = (400, 100)


def test_objects_usually_lie_where_their_mean_shape_does():
    np.testing.assert_allclose(usual_box(SHAPE, SIZE), [176.5, 21.5, 48, 8])


def test_a_box_has_a_margin_and_leaves_missing_points_out():
    points = np.array([[10, 20], [np.nan, np.nan], [50, 30]])
    np.testing.assert_allclose(box_around(points), [6.5, 16.5, 48, 18])


def test_a_network_follows_its_own_points():
    target, asked = np.array([300.0, 40]), []

    def predict(box):
        asked.append(box)
        centre = box[:2] + box[2:] / 2
        step = np.clip(target - centre, -70, 70)
        return centre + step + np.array([[-10, -10], [10, 10]])

    box, points = follow_points(predict, np.array([150.0, 30, 24, 24]), SIZE, 1.2)
    assert len(asked) == 3
    np.testing.assert_array_equal(points, predict(box))
    np.testing.assert_allclose(box[:2] + box[2:] / 2, target, atol=1)


def test_points_that_stray_from_the_photograph_are_not_followed():
    box = np.array([150.0, 30, 24, 24])
    np.testing.assert_array_equal(follow_points(lambda _: np.full((3, 2), 9000.0), box, SIZE, 1.2)[0], box)


PLACE = np.array([140.0, 40, 40, 40])


@pytest.mark.parametrize("centre", [(160, 60), (185, 70), (40, 50), (290, 80)])
def test_an_object_is_found_where_it_usually_is_or_anywhere_else(centre):
    image = Image.fromarray(draw_discs(centre))
    box, outputs = find_object(disc_sides, DISC_SIDES_INFO, image, PLACE)
    np.testing.assert_array_equal(outputs, network_outputs(disc_sides, DISC_SIDES_INFO, image, box))
    np.testing.assert_allclose(box[:2] + (box[2:] - 1) / 2, centre, atol=4)


def test_only_a_network_in_doubt_searches_the_whole_photograph(monkeypatch):
    monkeypatch.setattr(finding, "search", lambda *_: np.array([[1.0, 2, 3, 4]]))
    at_its_place, elsewhere = (Image.fromarray(draw_discs(centre)) for centre in ((160, 60), (40, 50)))
    assert find_object(disc_sides, DISC_SIDES_INFO, at_its_place, PLACE)[0][0] > 100
    assert find_object(disc_sides, DISC_SIDES_INFO, elsewhere, PLACE)[0].tolist() == [1, 2, 3, 4]


def test_every_prediction_of_an_object_is_used():
    crops = []

    def counting(images):
        crops.extend(images)
        return disc_sides(images)

    find_object(counting, DISC_SIDES_INFO, Image.fromarray(draw_discs((160, 60))), PLACE)
    assert len(crops) == finding.ROUNDS, "the last one is both judged and returned"


def test_what_is_found_nowhere_is_taken_to_be_at_the_usual_place():
    nothing = Image.new("L", (320, 120), 20)
    box, _ = find_object(disc_sides, DISC_SIDES_INFO, nothing, PLACE)
    np.testing.assert_allclose(box[:2] + box[2:] / 2, [160, 60], atol=5)
