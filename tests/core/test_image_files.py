import struct

import pytest
from helpers import picture, png_that_claims
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.image_files import count_pixels, open_image


def message(path, content=None):
    with pytest.raises(KpError) as caught:
        open_image(path, content)
    return str(caught.value)


def test_the_limit_on_pixels_is_that_of_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png_that_claims(12_001, 10_000))
    assert message(path) == f"cannot read {path}: it has more than 120,000,000 pixels; $KP_TF_MAX_PIXELS sets the limit"
    monkeypatch.setenv("KP_TF_MAX_PIXELS", "120010000")
    open_image(path, None).close()
    monkeypatch.setenv("KP_TF_MAX_PIXELS", "120009999")
    assert "more than 120,009,999 pixels" in message(path, path.read_bytes())


def test_the_limit_may_be_higher_than_pillows(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # restored at the end
    (tmp_path / "a.png").write_bytes(png_that_claims(20_000, 20_000))
    monkeypatch.setenv("KP_TF_MAX_PIXELS", "400000000")
    with open_image(tmp_path / "a.png", None) as image:
        assert image.size == (20_000, 20_000)


def test_pillow_does_not_warn_below_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    picture(16, 8).save(tmp_path / "a.tif")  # of which it asks again while it decodes
    monkeypatch.setenv("KP_TF_MAX_PIXELS", "128")
    with open_image(tmp_path / "a.tif", None) as image:
        image.load()


def test_a_narrow_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png_that_claims(1, 65_536))
    assert message(tmp_path / "a.png").endswith("a side has more than 65,535 pixels")


def test_a_file_that_is_too_large_is_refused(tmp_path):
    picture(16, 8).save(tmp_path / "a.webp")
    with (tmp_path / "a.webp").open("ab") as file:
        file.truncate(2**30 + 1)  # takes no space on most disks
    assert message(tmp_path / "a.webp").endswith("the file has more than 1.07 GB")


def tiff_of_tiles(side):
    """The header of a TIFF of 16 × 16 pixels in one tile of this side."""
    numbers = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: 32, 324: 0, 325: 9}
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in numbers.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(numbers)) + tags + bytes(4)


def test_a_tile_counts_like_a_picture(tmp_path):
    with open_image(tmp_path / "a.tif", tiff_of_tiles(64)) as image:
        assert (image.size, count_pixels(image)) == ((16, 16), 32 * 64)
    assert "more than 120,000,000 pixels" in message(tmp_path / "a.tif", tiff_of_tiles(2**22))
