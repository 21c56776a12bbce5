import re

import numpy as np
import pytest
from PIL import ExifTags, Image

from kp_tf.core.face import Face
from kp_tf.core.keypoints import IBUG68, IMM58
from kp_tf.core.orientation import Orientation
from kp_tf.data.synthetic.head import Face as DrawnFace
from kp_tf.data.synthetic.head import Head, Pose
from kp_tf.data.synthetic.landmarks import ibug68


def face_of(points, **options):
    return Face(np.array([10.0, 20, 300, 301]), points, np.full(len(points), 0.9), IBUG68, **options)


def test_five_points_are_computed_from_the_68():
    points = np.arange(136, dtype=float).reshape(68, 2)  # point k is (2 k, 2 k + 1)
    # the eyes' centres lie at k = 38.5 and 44.5; then the nose 30, and the mouth's corners 48 and 54
    np.testing.assert_array_equal(face_of(points).five, [(77, 78), (89, 90), (60, 61), (96, 97), (108, 109)])


@pytest.mark.parametrize("name", ["five", "pose", "eye_aspect_ratio", "mouth_aspect_ratio", "chip"])
def test_measures_need_the_68(name):
    face = Face(np.zeros(4), np.zeros((58, 2)), np.zeros(58), IMM58)
    with pytest.raises(ValueError, match=f"{name} needs the 68 points of 300-W. Received: scheme=imm58"):
        getattr(face, name) if name != "chip" else face.chip(Image.new("L", (9, 9)))


def test_a_face_is_one_line():
    assert repr(face_of(np.zeros((68, 2)))) == "<Face: 68 points, box (10, 20, 300, 301), confidence 0.90>"
    unknown = Face(np.zeros(4), np.zeros((58, 2)), np.full(58, np.nan), IMM58, number=3)
    assert repr(unknown) == "<Face 3: 58 points, box (0, 0, 0, 0)>"


@pytest.mark.parametrize("tag", range(1, 9))
def test_measures_are_those_of_the_upright_picture_however_it_is_stored(tag):
    size = (400, 500)
    points = ibug68(Head(DrawnFace(eyelids=(0.2, 1.0), drop=20, gap=5)), Pose(20, 5, 10, 0.7, 200, 260))
    upright, orientation = face_of(points), Orientation(size, tag)
    stored = face_of(orientation.to_stored(points), orientation=orientation)
    np.testing.assert_allclose(stored.pose, upright.pose)
    np.testing.assert_allclose(stored.eye_aspect_ratio, upright.eye_aspect_ratio)
    assert stored.mouth_aspect_ratio == pytest.approx(upright.mouth_aspect_ratio)
    left, right = upright.eye_aspect_ratio
    assert left < right / 2
    np.testing.assert_allclose(stored.upright.points, upright.points)
    np.testing.assert_allclose(stored.upright.pose, upright.pose)


@pytest.mark.parametrize("tag", [1, 3, 5, 6])
def test_a_chip_is_upright_however_its_photograph_is_stored(tag, tmp_path):
    points = ibug68(Head(DrawnFace()), Pose(0, 0, 0, 0.7, 200, 260))
    picture = Image.new("RGB", (400, 500), "black")
    for colour, (x, y) in zip(("red", "lime"), face_of(points).five, strict=False):  # the eyes
        picture.paste(colour, tuple(round(value) for value in (x - 9, y - 9, x + 10, y + 10)))
    orientation, exif = Orientation(picture.size, tag), Image.Exif()
    exif[ExifTags.Base.Orientation] = tag
    as_stored = {1: None, 3: Image.Transpose.ROTATE_180, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90}
    stored = picture if as_stored[tag] is None else picture.transpose(as_stored[tag])
    stored.save(tmp_path / "a.png", exif=exif)
    face = face_of(orientation.to_stored(points), orientation=orientation)
    chip = face.chip(tmp_path / "a.png", size=300)
    np.testing.assert_array_equal(face.upright.chip(tmp_path / "a.png", size=300), chip)
    assert (chip.size, chip.mode) == ((300, 300), "RGB")
    pixels = np.asarray(chip, float)
    for channel, side in ((0, -1), (1, 1)):
        x, y = (
            (pixels[..., channel] * place).sum() / pixels[..., channel].sum() for place in np.mgrid[:300, :300][::-1]
        )
        assert y == pytest.approx(99.5, abs=0.6), "at a third of the height"
        # by the mouth's distance: 0.9 of it, of 2.6 × 1.5 units in 300 pixels
        assert side * (x - 149.5) == pytest.approx(300 / 2.6 / 1.5 / 2, rel=0.03)


def test_chips_do_not_alias_and_reach_beyond_the_photograph():
    points = ibug68(Head(DrawnFace()), Pose(0, 0, 15, 4.0, 1000, 1000))
    stripes = np.zeros((2000, 2000), np.uint8)
    stripes[:, ::2] = 255
    small = np.asarray(face_of(points).chip(stripes, size=32, padding=0.0), float)
    assert np.abs(small - 127.5).max() < 8, "stripes of one pixel become grey"
    wide = np.asarray(face_of(points).chip(stripes, size=64, padding=3.0))
    assert (wide[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert wide[32, 32].mean() == pytest.approx(127, abs=10)
    away = np.asarray(face_of(points + 90_000).chip(stripes, size=16))
    assert (away == 0).all()


@pytest.mark.parametrize(
    ("points", "options"),
    [(np.zeros((68, 2)), {}), (np.full((68, 2), np.nan), {}), (None, {"size": 0}), (None, {"padding": -0.1})],
)
def test_chips_that_cannot_be_cut_are_refused(points, options):
    points = ibug68(Head(DrawnFace()), Pose(0, 0, 0, 1, 100, 100)) if points is None else points
    with pytest.raises(ValueError, match=re.escape("Received")):
        face_of(points).chip(Image.new("RGB", (200, 200)), **options)
