"""Grey pictures, of which no more is decoded than the crops need."""

import os

import numpy as np
import pytest
from helpers import picture
from PIL import ExifTags, Image

from kp_tf.core import grey
from kp_tf.core.budget import Budget
from kp_tf.core.errors import KpError
from kp_tf.core.grey import Grey, open_grey
from kp_tf.core.images import open_photograph
from kp_tf.core.orientation import TURNS

SHAPE = (30, 40)


def save(path, size=(605, 443), tag=1, **options):
    """A smooth photograph whose sides are no multiples of eight."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = tag
    picture(80, 60).resize(size, Image.Resampling.BICUBIC).save(path, quality=95, exif=exif, **options)
    return path


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("tag", TURNS)
def test_crops_of_a_reduced_picture_are_those_of_the_photograph(tmp_path, tag, reduction):
    path = save(tmp_path / "a.jpg", tag=tag)
    whole, reduced = Grey.of(open_photograph(path)), open_grey(path, 1.2 * reduction)
    assert (reduced.reduction, reduced.orientation, reduced.size) == (reduction, whole.orientation, whole.size)
    width, height = whole.size
    inner = Image.new("L", whole.size)  # where the photograph ends, pixels are coarser
    inner.paste(255, (12, 12, width - 12, height - 12))
    inner = Grey("", inner, whole.orientation)
    for window in (
        np.array([40, 30, 320, 240], np.int32),
        np.array([-100, -50, 400, 300], np.int32),
        np.array([width - 200, height - 200, 320, 240], np.int32),
        np.array([50.3, 60.7, 340.0, 255.0, 25.0]),
        np.array([width - 300.5, height - 280.5, 330.0, 248.0, -160.0]),
        np.array([width / 2 - 20 * reduction, height / 2 - 15 * reduction, 40.0 * reduction, 30.0 * reduction, 70.0]),
    ):
        expected, found = (one.crop(window, SHAPE).astype(int) for one in (whole, reduced))
        assert np.abs(expected - found)[inner.crop(window, SHAPE) == 255].mean() < 1.5, window


def test_a_window_smaller_than_expected_is_decoded_again(tmp_path):
    path, window = save(tmp_path / "a.jpg"), np.array([200, 150, 60, 45], np.int32)
    whole, reduced = Grey.of(open_photograph(path)), open_grey(path, 10)
    path.unlink()
    expected, found = (one.crop(window, SHAPE).astype(int) for one in (whole, reduced))
    assert np.abs(expected - found).max() <= 3


def test_other_files_are_read_as_photographs(tmp_path):
    picture(80, 60).save(tmp_path / "a.png")
    picture(80, 60).convert("CMYK").save(tmp_path / "b.jpg")
    for name in ("a.png", "b.jpg"):
        found, expected = open_grey(tmp_path / name, 10), open_photograph(tmp_path / name).upright.convert("L")
        assert (found.reduction, found.size) == (1, (80, 60))
        np.testing.assert_array_equal(found.image.convert("L"), expected)
    picture(80, 60).convert("L").save(tmp_path / "c.jpg")
    assert open_grey(tmp_path / "c.jpg", 3).image.size == (40, 30)
    Image.new("RGB", (5, 3)).save(tmp_path / "tiny.jpg")
    assert open_grey(tmp_path / "tiny.jpg", 10).reduction == 2


def test_files_that_cannot_be_used_have_the_message_of_photographs(tmp_path):
    save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("cut.jpg", "text.jpg", "missing.jpg"):
        with pytest.raises(KpError) as expected:
            open_photograph(tmp_path / name)
        for pixels in (1, 5):
            with pytest.raises(KpError) as found:
                open_grey(tmp_path / name, pixels)
            assert str(found.value).split("(")[0] == str(expected.value).split("(")[0]


def test_all_pixels_count_while_they_are_decoded_and_the_reduced_ones_while_they_are_kept(tmp_path, monkeypatch):
    decoding, admitted = [], []

    class Counting(Budget):
        def decoding(self, pixels):
            decoding.append(pixels)
            return super().decoding(pixels)

    monkeypatch.setattr(grey, "BUDGET", Counting())
    path = save(tmp_path / "a.jpg")
    found = open_grey(path, 5, admitted.append)
    assert (decoding, admitted) == ([605 * 443], [152 * 111])
    assert found.image.size == (152, 111)
    assert len(found.content) == os.path.getsize(path)
    assert open_grey(path, 1).content == b"", "nothing is decoded again"
