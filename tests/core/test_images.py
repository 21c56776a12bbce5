import struct
import zlib

import numpy as np
import pytest
from helpers import picture
from PIL import ExifTags, Image

from kp_tf.core.errors import KpError
from kp_tf.core.images import Photograph, check_boxes, cut_out, open_photograph
from kp_tf.input.pipeline import load_crop

# how the stored picture has to be turned, by EXIF 2.3
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_points_follow_the_orientation(tmp_path, orientation):
    stored = Image.new("RGB", (40, 30))
    stored.putpixel((7, 4), (255, 255, 255))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    photograph = open_photograph(tmp_path / "a.png")
    turned = stored if TURNS[orientation] is None else stored.transpose(TURNS[orientation])
    np.testing.assert_array_equal(photograph.upright, turned)
    x, y = photograph.turn.to_upright(np.array([7, 4]))
    assert photograph.upright.getpixel((int(x), int(y))) == (255, 255, 255)

    points = np.random.default_rng(0).uniform(-10, 50, (3, 5, 2))
    np.testing.assert_allclose(photograph.turn.to_stored(photograph.turn.to_upright(points)), points)
    # a box keeps its pixels: the white one is its top left as stored
    box = photograph.turn.boxes_to_upright(np.array([[7, 4, 3, 2]]))
    left, top, width, height = box[0].astype(int)
    assert np.asarray(photograph.upright)[top : top + height, left : left + width].sum() == 3 * 255
    assert sorted((width, height)) == [2, 3]
    np.testing.assert_allclose(photograph.turn.boxes_to_stored(box), [[7, 4, 3, 2]])


def test_an_unknown_orientation_is_none(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    picture(16, 8).save(tmp_path / "a.jpg", exif=exif)
    assert open_photograph(tmp_path / "a.jpg").orientation == 1


def grey_of(path):
    return np.asarray(open_photograph(path).upright.convert("L"))


def test_kinds_of_pictures_come_out_alike(tmp_path):
    rgb = picture(64, 48)
    grey = np.asarray(rgb.convert("L"))
    rgb.save(tmp_path / "rgb.png")
    rgb.convert("L").save(tmp_path / "grey.png")
    rgb.convert("CMYK").save(tmp_path / "cmyk.tif")
    rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(tmp_path / "palette.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16bit.png")
    Image.fromarray((grey / np.float32(255)).astype(np.float32)).save(tmp_path / "float.tif")
    for name, most in (("rgb.png", 0), ("grey.png", 0), ("cmyk.tif", 1), ("16bit.png", 0), ("float.tif", 0)):
        found = grey_of(tmp_path / name)
        assert np.abs(found.astype(int) - grey).max() <= most, name
    assert np.abs(grey_of(tmp_path / "palette.png").astype(int) - grey).mean() < 8


def test_transparency_is_white(tmp_path):
    see_through = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    see_through.putpixel((0, 0), (0, 0, 255, 255))
    see_through.save(tmp_path / "a.png")
    Image.new("LA", (4, 2), (0, 0)).save(tmp_path / "la.png")
    assert open_photograph(tmp_path / "a.png").upright.getpixel((0, 0)) == (0, 0, 255)
    assert open_photograph(tmp_path / "a.png").upright.getpixel((1, 1)) == (255, 255, 255)
    assert open_photograph(tmp_path / "la.png").upright.getpixel((1, 1)) == (255, 255, 255)


def test_arrays_and_images_are_photographs():
    image = picture(20, 10)
    for source in (image, np.asarray(image), np.asarray(image.convert("L")), open_photograph(image)):
        photograph = open_photograph(source)
        assert isinstance(photograph, Photograph)
        assert photograph.upright.size == (20, 10)
    for bad in (np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(KpError, match="array: expected"):
            open_photograph(bad)


def png_that_claims(width, height):
    """The start of a PNG whose header names a size, up to where its pixels begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = struct.pack(">I", 13), header, struct.pack(">I", zlib.crc32(header)), struct.pack(">I", 9), b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_bad_files_have_one_clear_message(tmp_path):
    picture(64, 64).save(tmp_path / "good.jpg")
    whole = (tmp_path / "good.jpg").read_bytes()
    for name, content, found in (
        ("empty.jpg", b"", "an empty file"),
        ("text.jpg", b"this is no picture", "a file that is no picture"),
        ("cut.jpg", whole[: len(whole) // 2], "a damaged one"),
        ("bomb.png", png_that_claims(100_000, 100_000), "Image size"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(KpError, match=rf"{name}: expected a photograph.*, found.* {found}"):
            open_photograph(tmp_path / name)
    with pytest.raises(KpError, match="no such file"):
        open_photograph(tmp_path / "nothing.jpg")


def test_heic_is_read_or_names_its_extra(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    heif.from_pillow(picture(64, 48)).save(tmp_path / "a.heic")
    assert open_photograph(tmp_path / "a.heic").upright.size == (64, 48)


def test_boxes_are_checked():
    assert check_boxes("a", []).shape == (0, 4)
    assert check_boxes("a", [1, 2, 3, 4]).shape == (1, 4)
    for bad, found in (
        ([1, 2, 3], r"3\)"),
        ([[1, 2, 0, 4]], "0 × 4"),
        ([[1, 2, np.nan, 4]], ""),
        ([[1e9] * 4], "1e"),
    ):
        with pytest.raises(KpError, match=rf"a: expected.*found.*{found}"):
            check_boxes("a", bad)


@pytest.mark.parametrize("window", [(10, 20, 90, 90), (-30, -10, 140, 140), (40, 30, 20, 24)])
def test_a_crop_is_that_of_the_pipeline(tmp_path, window):
    image = picture(160, 120).convert("L")
    image.save(tmp_path / "a.png")
    expected = load_crop(str(tmp_path / "a.png"), np.array(window, np.int32), (48, 40)).numpy()[..., 0]
    found = cut_out(image, np.array(window), (48, 40))
    assert np.abs(found.astype(int) - expected).max() <= 1
