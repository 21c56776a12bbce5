import numpy as np
import pytest
from helpers import picture
from PIL import Image

from kp_tf.core import pixels
from kp_tf.core.orientation import TURNS
from kp_tf.core.pixels import to_upright_rgb


def values(image):
    return np.asarray(image.convert("L"), np.float32)


def faded(image):
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


KINDS = {
    "RGB": lambda image: image,
    "RGBA": faded,
    "LA": lambda image: faded(image).convert("LA"),
    "P": lambda image: image.quantize(40),
    "1": lambda image: image.convert("1"),
    "CMYK": lambda image: image.convert("CMYK"),
    "12 bits": lambda image: Image.fromarray((values(image) * 16).astype(np.uint16)),
    "I": lambda image: Image.fromarray((values(image) * 3 - 90).astype(np.int32)),
    "F": lambda image: Image.fromarray(values(image) / 255),
}


@pytest.mark.parametrize("tag", TURNS)
@pytest.mark.parametrize("kind", KINDS)
def test_strips_make_the_whole(monkeypatch, kind, tag):
    image = KINDS[kind](picture(50, 37))
    whole = to_upright_rgb(image, 1)
    monkeypatch.setattr(pixels, "STRIP", 250)  # of five rows, and two at the end
    transpose = TURNS[tag][3]
    expected = whole if transpose is None else whole.transpose(transpose)
    np.testing.assert_array_equal(to_upright_rgb(image, tag), expected)


def test_the_result_shares_no_memory():
    image = picture(8, 8)
    to_upright_rgb(image, 1).paste("black", (0, 0, 8, 8))
    assert np.asarray(image).any()


def test_deep_grey_is_scaled_by_its_largest_value_in_any_strip(monkeypatch):
    monkeypatch.setattr(pixels, "STRIP", 4)
    deep = np.zeros((6, 4), np.uint16)
    deep[0], deep[5] = 500, 1000  # the latter tells that it has 10 bits
    assert to_upright_rgb(Image.fromarray(deep), 1).getpixel((0, 0)) == (round(500 / 1023 * 255),) * 3


def test_numbers_that_are_no_grey_become_black_or_white():
    rows = np.array([[np.nan, -np.inf, -1e30, 0, 0.5, 1]], np.float32)
    grey = np.asarray(to_upright_rgb(Image.fromarray(rows), 1))[0, :, 0]
    assert grey.tolist() == [0, 0, 0, 0, 128, 255]
    rows[0, 3] = np.inf  # fractions go to 1, so these are values of 16 bits
    assert np.asarray(to_upright_rgb(Image.fromarray(rows), 1))[0, :, 0].tolist() == [0, 0, 0, 255, 0, 0]
