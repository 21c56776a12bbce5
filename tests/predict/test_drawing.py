from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PIL.ImageColor import getrgb

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.images import Photograph
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.predict.drawing import COLOURS, CUT_SIZE, GAP, draw, draw_faces, point_colours, save_picture

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
    photograph = Photograph("a", Image.new("RGB", (500, 400)), 6)
    face = replace(FACE, orientation=photograph.orientation)
    drawn = draw_faces(photograph, [face])
    assert drawn == draw_faces(photograph, [face.upright])
    assert drawn.size == (500, 400)
    assert drawn.getpixel((499 - 100, 150)) == getrgb(COLOURS[0])
    assert drawn.getpixel((499 - 50, 100)) == (255, 255, 255)
    assert drawn.getpixel((499 - 349, 299)) == (255, 255, 255)


def test_a_missing_point_is_not_drawn():
    face = replace(FACE, points=np.array([[150.0, 100], [np.nan, np.nan]]))
    drawn = draw_faces(Photograph("a", Image.new("RGB", (400, 500), "navy")), [face])
    assert getrgb(COLOURS[0]) in colours_of(drawn)
    assert getrgb(COLOURS[1]) not in colours_of(drawn)


def test_several_faces_have_numbers_that_do_not_cover_each_other():
    plain = Image.new("RGB", (400, 500), "navy")
    assert (0, 0, 0) not in colours_of(draw_faces(Photograph("a", plain), [FACE]).crop((0, 0, 400, 50))), "alone"
    tracked = draw_faces(Photograph("a", plain), [replace(FACE, number=7)])
    assert (0, 0, 0) in colours_of(tracked.crop((0, 0, 400, 50)))
    one = np.asarray(draw_faces(Photograph("a", plain), [FACE, FACE]))
    tags = (one == 0).all(axis=2)
    assert tags[:50, 100:150].any(), "above the left corner"
    assert tags[:50, 250:300].any(), "and, for the other face at the same place, above the right"
    top = replace(FACE, box=np.array([0.0, 0, 200, 300]))
    tags = (np.asarray(draw_faces(Photograph("a", plain), [top, top])) == 0).all(axis=2)
    assert tags[300:350, :50].any(), "below, where there is no room above"


def test_small_faces_are_enlarged_below_the_photograph():
    photograph = Image.new("RGB", (400, 500), "navy")
    small = replace(FACE, box=np.array([100.0, 50, 40, 40]), points=np.array([[110.0, 60], [130, 80]]))
    assert draw(photograph, [FACE]).size == (400, 500)
    drawn = draw(photograph, [small])
    assert drawn.size == (400, 500 + CUT_SIZE + 2 * GAP)
    # 1.6 boxes and a pixel, enlarged from 65 pixels that begin at (88, 38)
    for colour, point in zip(COLOURS, small.points, strict=False):
        x, y = np.rint((point - (88, 38) + 0.5) * CUT_SIZE / 65 - 0.5)
        assert drawn.getpixel((GAP + int(x), 500 + GAP + int(y))) == getrgb(colour)
    many = draw(photograph, [small] * 9)
    assert many.size == (3 * (CUT_SIZE + GAP) + GAP, 500 + 3 * (CUT_SIZE + GAP) + GAP)
    turned = Photograph("a", Image.new("RGB", (500, 400), "navy"), 6)
    stored = draw(turned, [replace(small, orientation=turned.orientation)])
    assert stored.size == (500, 400 + CUT_SIZE + 2 * GAP)
    assert {getrgb(colour) for colour in COLOURS[:2]} <= colours_of(stored.crop((0, 400, *stored.size)))


def test_faces_of_large_photographs_count_as_small_by_its_size():
    face = replace(FACE, box=np.array([100.0, 50, 150, 150]))
    assert draw(Image.new("L", (2000, 1500)), [face]).size == (2000, 1500)
    assert draw(Image.new("L", (4000, 1500)), [face]).size == (4000, 1500 + 4000 // 6 + 2 * GAP)


def colours_of(picture):
    return {colour for _, colour in picture.getcolors(picture.width * picture.height)}


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
