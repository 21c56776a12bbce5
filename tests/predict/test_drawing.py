import numpy as np
import pytest
from PIL import Image
from PIL.ImageColor import getrgb

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.images import Photograph
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.predict.drawing import COLOURS, draw_faces, point_colours, save_picture

TWO = Scheme("two", ("a", "b"), (("eyes", (0,)), ("mouth", (1,))))
FACE = Face(np.array([100.0, 50, 200, 300]), np.array([[150.0, 100], [250, 200]]), np.ones(2), TWO)


def test_boxes_and_points_lie_at_their_places():
    photograph = Photograph("a", Image.new("RGB", (400, 500), "navy"))
    drawn = draw_faces(photograph, [FACE])
    assert photograph.upright.getcolors() == [(400 * 500, (0, 0, 128))], "the photograph itself is unchanged"
    assert [drawn.getpixel(point) for point in ((150, 100), (250, 200))] == [getrgb(each) for each in COLOURS[:2]]
    for corner in ((100, 50), (299, 50), (299, 349), (100, 349)):
        assert drawn.getpixel(corner) == (255, 255, 255)
    for outside in ((99, 50), (100, 49), (300, 349), (299, 350)):
        assert drawn.getpixel(outside) == (0, 0, 128)


def test_a_turned_photograph_is_drawn_upright():
    # as stored, the upright (x, y) of 500 pixels' width lies at (y, 499 - x)
    drawn = draw_faces(Photograph("a", Image.new("RGB", (500, 400)), 6), [FACE])
    assert drawn.size == (500, 400)
    assert drawn.getpixel((499 - 100, 150)) == getrgb(COLOURS[0])
    assert drawn.getpixel((499 - 50, 100)) == (255, 255, 255)
    assert drawn.getpixel((499 - 349, 299)) == (255, 255, 255)


def test_groups_have_colours_of_their_own():
    colours = point_colours(IBUG68)
    by_group = [{colours[k] for k in indices} for _, indices in IBUG68.groups]
    assert all(len(group) == 1 for group in by_group)
    assert len(set.union(*by_group)) == 5
    assert point_colours(Scheme("one", ("a",), ())) == [COLOURS[-1]]


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(KpError, match=r"cannot write .*a\.jpg: No such file or directory"):
        save_picture(Image.new("RGB", (4, 4)), tmp_path / "missing" / "a.jpg")


def test_a_picture_too_large_for_a_jpeg_is_refused(tmp_path):
    with pytest.raises(KpError, match=r"cannot write .*a\.jpg: a JPEG has at most 65,500 pixels on a side, not 65,501"):
        save_picture(Image.new("RGB", (65_501, 1)), tmp_path / "a.jpg")
    save_picture(Image.new("RGB", (65_500, 1)), tmp_path / "a.jpg")
