import numpy as np
import pytest
from helpers import picture
from PIL import ExifTags, Image

from kp_tf.core.keypoints import NOSE, Scheme
from kp_tf.data.samples import Samples
from kp_tf.evaluate.faces import best_first, draw_selected, face_scores

FOUR = Scheme("four", ("a", "b", "c", "d"), (), eyes=(0, 1))
SQUARE = np.array([[40, 40], [60, 40], [40, 60], [60, 60]], float)  # eyes 20 pixels from each other


def samples_of(folder, files, points, scheme):
    boxes = np.tile([30.0, 20, 50, 60], (len(files), 1))
    return Samples(folder, files, boxes, np.array(points), scheme, files)


def test_faces_are_ordered_by_nme_where_there_are_eyes(tmp_path):
    points = np.stack([SQUARE, SQUARE * [2, 1], SQUARE])  # the second has twice the inter-ocular distance
    points[2, 0] = np.nan
    samples = samples_of(tmp_path, ("a", "b", "c"), points, FOUR)
    scores, is_nme = face_scores(samples, np.nan_to_num(points) + [3, 0])
    assert is_nme
    np.testing.assert_allclose(scores, [3 / 20, 3 / 40, np.nan])
    assert best_first(scores).tolist() == [1, 0], "without the face that has no NME"


@pytest.mark.parametrize("scheme", [NOSE, FOUR])
def test_faces_are_ordered_by_pixels_where_there_are_no_eyes(tmp_path, scheme):
    points = np.stack([SQUARE[: len(scheme)]] * 2)
    if scheme is FOUR:
        points[:, 0] = np.nan  # an eye of every face
    scores, is_nme = face_scores(samples_of(tmp_path, ("a", "b"), points, scheme), points + [[[3, 4]], [[0, 1]]])
    assert not is_nme
    np.testing.assert_allclose(scores, [5, 1])


# one point is shown with 0.4 of its box of 60 pixels on each side, several with themselves; and 15 % more
@pytest.mark.parametrize(("scheme", "text", "side"), [(NOSE, "5.0 px", 63), (FOUR, "NME 25.0 %", 32)])
def test_chosen_faces_are_drawn_upright(tmp_path, saved, scheme, text, side):
    upright = picture(150, 100)
    upright.save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    points = SQUARE[: len(scheme)]
    stored = np.stack([points[:, 1], 149 - points[:, 0]], axis=1)  # of the upright picture's 150 pixels' width
    samples = samples_of(tmp_path, ("a.png", "turned.png"), [points, stored], scheme)
    samples.boxes[1] = (20, 150 - 30 - 50, 60, 50)
    predicted = samples.points + np.array([[[3.0, 4.0]], [[4, -3]]])
    draw_selected(tmp_path / "faces.png", samples, predicted, [0, 1], None, "both")
    first, second = saved[0].axes
    assert first.get_title() == second.get_title() == text
    assert first.images[0].get_array().shape == (side, side, 3)
    np.testing.assert_array_equal(first.images[0].get_array(), second.images[0].get_array())
    for a, b in zip(first.collections[1:], second.collections[1:], strict=True):  # truth and prediction
        np.testing.assert_allclose(a.get_offsets(), b.get_offsets())
    truth, prediction = (dots.get_offsets() for dots in first.collections[1:])
    np.testing.assert_allclose(prediction - truth, [[3, 4]] * len(scheme))
