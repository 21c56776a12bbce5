import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers import picture, png_that_claims
from PIL import ExifTags, Image

from kp_tf.core import images
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import to_pixels
from kp_tf.core.image_files import FORMATS, SUFFIXES, is_photograph
from kp_tf.core.images import (
    MAX_CROP_PIXELS,
    Photograph,
    crop_image,
    decoded_file,
    open_photograph,
    read_orientation,
)

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
    assert read_orientation(tmp_path / "a.png") == photograph.orientation
    assert photograph.orientation.stored_size == (40, 30)
    x, y = photograph.orientation.to_upright(np.array([7, 4]))
    assert photograph.upright.getpixel((int(x), int(y))) == (255, 255, 255)

    points = np.random.default_rng(0).uniform(-10, 50, (3, 5, 2))
    np.testing.assert_allclose(photograph.orientation.to_stored(photograph.orientation.to_upright(points)), points)
    # a box keeps its pixels: the white one is its top left as stored
    box = photograph.orientation.boxes_to_upright(np.array([[7, 4, 3, 2]]))
    left, top, width, height = box[0].astype(int)
    assert np.asarray(photograph.upright)[top : top + height, left : left + width].sum() == 3 * 255
    assert sorted((width, height)) == [2, 3]
    np.testing.assert_allclose(photograph.orientation.boxes_to_stored(box), [[7, 4, 3, 2]])


def test_an_unknown_orientation_is_none(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    picture(16, 8).save(tmp_path / "a.jpg", exif=exif)
    assert open_photograph(tmp_path / "a.jpg").orientation_tag == 1
    assert read_orientation(tmp_path / "a.jpg").tag == 1


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
        result = grey_of(tmp_path / name)
        assert np.abs(result.astype(int) - grey).max() <= most, name
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
    for array in (np.asarray(image).copy(), np.asarray(image.convert("L")).copy()):
        photograph, pixel = open_photograph(array), int(array.reshape(-1)[0])
        array += 1
        assert photograph.upright.getpixel((0, 0))[0] == pixel, "the caller may use the array for the next frame"
    for bad in (np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(KpError, match="array: expected"):
            open_photograph(bad)


def test_what_is_no_picture_is_named():
    class Tensor:
        def __array__(self):
            return np.zeros((4, 4), np.uint8)

    for source, message in (
        (None, "expected a picture, found None, which OpenCV returns for a file that it cannot read"),
        (b"\xff\xd8", r"found bytes; pass Image\.open\(io\.BytesIO\(content\)\)"),
        (io.BytesIO(), "found a BytesIO; pass a path, a Pillow image, or an array"),
        (["a.jpg"], "found a list; pass a path, a Pillow image, or an array"),
        (Tensor(), r"found a Tensor; pass it as a NumPy array \(H, W\), .* of uint8"),
    ):
        with pytest.raises(KpError, match=message):
            open_photograph(source)


def test_bad_files_have_one_clear_message(tmp_path):
    picture(64, 64).save(tmp_path / "good.jpg")
    whole = (tmp_path / "good.jpg").read_bytes()
    for name, content, message in (
        ("empty.jpg", b"", "the file is empty"),
        ("text.jpg", b"this is no picture", "not an image file"),
        ("cut.jpg", whole[: len(whole) // 2], "the image is damaged"),
        ("bomb.png", png_that_claims(100_000, 100_000), "it has more than 120,000,000 pixels"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(KpError, match=rf"cannot read .*{name}: {message}"):
            open_photograph(tmp_path / name)
        with pytest.raises(KpError, match=rf"cannot read .*{name}: {message}"):
            open_photograph(tmp_path / name, content)
    with pytest.raises(KpError, match=r"cannot read .*nothing\.jpg: no such file"):
        open_photograph(tmp_path / "nothing.jpg")


def test_a_file_that_starts_another_program_is_not_opened(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(KpError, match="not an image file"):
        open_photograph(tmp_path / "a.jpg")


def test_a_format_is_known_by_its_content_except_for_tga(tmp_path):
    image = picture(32, 24)
    for name, format in (("a.txt", "JPEG"), ("b", "JPEG2000"), ("c.mp4", "PNG"), ("d.tga", "TGA")):
        image.save(tmp_path / name, format)
        assert is_photograph(tmp_path / name)
        assert np.abs(grey_of(tmp_path / name).astype(int) - image.convert("L")).mean() < 3, name
    (tmp_path / "d.tga").rename(tmp_path / "d.dat")
    for name, content in (
        ("text.txt", b"x"),
        ("text.tga", b"This is a text."),
        ("BMW.txt", b"BMW, a text"),
        ("e", b""),
    ):
        (tmp_path / name).write_bytes(content)
    for name in ("d.dat", "text.txt", "text.tga", "BMW.txt", "e", "missing", "."):
        assert not is_photograph(tmp_path / name), name


def test_names_and_formats_agree():
    Image.init()
    known = Image.registered_extensions()
    assert {known[suffix] for suffix in SUFFIXES if suffix in known} <= {*FORMATS, "MPO"}
    assert {"EPS", "PDF"}.isdisjoint(FORMATS), "they start other programs"
    guide = (Path(__file__).parents[2] / "docs" / "predict.md").read_text(encoding="utf-8").upper()
    paragraph = guide[guide.index("FILES MAY BE ") :].split("\n\n")[0]
    names = {"JPEG2000": "JPEG 2000", "HEIF": "HEIC"}
    assert all(re.search(rf"\b{names.get(name, name)}\b", paragraph) for name in FORMATS)


@pytest.mark.parametrize("format", ["GIF", "MPO", "PNG", "TIFF", "WEBP"])
def test_the_first_of_several_frames_is_read_and_all_are_counted(tmp_path, format):
    first, *others = (picture(32, 24, seed) for seed in range(3))
    first.save(
        tmp_path / "a", format, save_all=True, append_images=others, **{"lossless": True} if format == "WEBP" else {}
    )
    photograph = open_photograph(tmp_path / "a")
    assert photograph.num_frames == 3
    assert np.abs(np.asarray(photograph.upright, int) - np.asarray(first)).mean() < 8
    first.save(tmp_path / "b", "JPEG")
    assert open_photograph(tmp_path / "b").num_frames == 1


def test_a_damaged_second_frame_leaves_the_first(tmp_path):
    picture(32, 24).save(tmp_path / "a.gif", save_all=True, append_images=[picture(32, 24, 1)])
    content = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(content[: content.rindex(b"!\xf9") + 5])
    assert open_photograph(tmp_path / "a.gif").upright.size == (32, 24)


def test_heic_is_read_or_names_its_extra(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    heif.from_pillow(picture(64, 48)).save(tmp_path / "a.heic")
    assert open_photograph(tmp_path / "a.heic").upright.size == (64, 48)


def test_a_crop_keeps_the_unit_square():
    # one white pixel, 41 to the right and 22 below the corner of a 60 × 40 window: u = 41.5/60, v = 22.5/40
    image = np.zeros((100, 150), np.uint8)
    image[10 + 22, 20 + 41] = 255
    crop = crop_image(Image.fromarray(image), np.array((20, 10, 60, 40)), (120, 120)) / 1.0
    y, x = np.mgrid[:120, :120] + 0.5
    assert (x * crop).sum() / crop.sum() / 120 == pytest.approx(41.5 / 60, abs=2e-3)
    assert (y * crop).sum() / crop.sum() / 120 == pytest.approx(22.5 / 40, abs=2e-3)


def test_a_crop_is_black_outside_the_picture():
    crop = crop_image(Image.new("L", (50, 50), 255), np.array((-50, 0, 100, 50)), (50, 100))
    assert crop[:, :49].max() == 0
    assert crop[:, 51:].min() == 255


@pytest.mark.parametrize(
    "window", [(-1900, -1550, 5000, 4000), (-4001, -17, 5003, 4007), (3, -3900, 5000, 4400), (-900, 13, 1100, 17000)]
)
def test_a_very_large_window_shows_the_same(window):
    image = picture(1200, 900).convert("L")
    left, top, width, height = window
    assert width * height > MAX_CROP_PIXELS
    whole = image.crop((left, top, left + width, top + height)).resize((100, 80), Image.Resampling.BILINEAR)
    assert np.abs(crop_image(image, np.array(window), (80, 100)).astype(int) - whole).max() <= 1
    assert np.asarray(whole).max() > 50


def test_a_very_large_window_that_misses_the_picture_is_black():
    image = Image.new("L", (60, 40), 255)
    assert crop_image(image, np.array((-5000, 0, 4000, 5000)), (8, 9)).tolist() == [[0] * 9] * 8
    assert crop_image(image, np.array((0, 90, 5000, 5000)), (8, 9)).tolist() == [[0] * 9] * 8


def test_pillow_images_that_cannot_be_decoded_are_one_clear_line(tmp_path):
    picture(160, 120).save(tmp_path / "whole.jpg")
    cut = io.BytesIO((tmp_path / "whole.jpg").read_bytes()[:1500])
    with pytest.raises(KpError, match="cannot read image: the image is damaged"):
        open_photograph(Image.open(cut))
    with pytest.raises(KpError, match="cannot read image: it has no pixels"):
        open_photograph(Image.new("RGB", (0, 0)))


def test_each_reader_says_what_it_decodes(tmp_path, monkeypatch):
    """The pixels that are admitted, those that count while they are decoded, and those after it."""
    picture(16, 8).save(tmp_path / "a.png")
    spent, admitted = [], []

    @contextmanager
    def decoding(pixels):
        spent.append(pixels)
        yield
        spent.append(-pixels)

    monkeypatch.setattr(images.BUDGET, "decoding", decoding)
    for source in (tmp_path / "a.png", picture(16, 8), np.asarray(picture(16, 8))):
        open_photograph(source, admit=admitted.append)
    with decoded_file(tmp_path / "a.png"):
        assert sum(spent) == 128
    assert spent == [128, -128] * 4
    assert admitted == [128] * 3


# by kind: bytes a pixel, at most: one, two or four of Pillow's picture, and four of the result
KINDS = {
    "a.jpg": (lambda size: Image.new("RGB", size), 4),
    "turned.jpg": (lambda size: Image.new("RGB", size), 8),
    "a.png": (lambda size: Image.new("RGB", size), 8),
    "a.tif": (lambda size: Image.new("F", size, 0.5), 8),
    "la.png": (lambda size: Image.new("LA", size), 8),
    "g16.png": (lambda size: Image.fromarray(np.full(size[::-1], 40_000, np.uint16)), 6),
}
MEASURE = """
import sys
from kp_tf.core import pixels
from kp_tf.core.images import open_photograph
pixels.STRIP = 2**16
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
open_photograph(sys.argv[1])
for file in sys.argv[1:]:
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()
    open_photograph(file)
    print((peak() - before) * 1024)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory cannot be measured")
def test_a_photograph_takes_few_bytes_a_pixel(tmp_path):
    size = 3072, 2048
    exif = Image.Exif()
    for name, (make, _) in KINDS.items():
        exif[ExifTags.Base.Orientation] = 6 if "turned" in name else 1
        options = {"compression": "tiff_lzw"} if name.endswith("tif") else {"exif": exif}
        make(size).save(tmp_path / name, **options)
    command = [sys.executable, "-c", MEASURE, *(tmp_path / name for name in KINDS)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    strip = 10e6  # bytes in all its forms, with some to spare
    for (name, (_, most)), taken in zip(KINDS.items(), printed.split(), strict=True):
        assert int(taken) <= most * size[0] * size[1] + strip, name


def smooth_picture(side=120):
    y, x = np.mgrid[:side, :side]
    return Image.fromarray((128 + 60 * np.sin(x / 11) + 60 * np.cos(y / 7 + x / 29)).round().astype(np.uint8))


@pytest.mark.parametrize(("angle", "quarters"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_a_window_rotated_by_quarters_has_the_rotated_pixels(angle, quarters):
    window = np.array([30, 40, 48, 48])
    straight = crop_image(smooth_picture(), window, (48, 48)).astype(int)
    rotated = crop_image(smooth_picture(), np.append(window, angle).astype(float), (48, 48)).astype(int)
    # the window turns clockwise, so what it shows turns counter-clockwise
    assert np.abs(rotated - np.rot90(straight, quarters)).max() <= 2


def test_a_rotated_window_shows_what_lies_at_its_points():
    picture, window = smooth_picture(), np.array([35.5, 41, 40, 40, 33])
    crop = crop_image(picture, window, (80, 80))
    places = np.array([[(10.5, 20.5), (60.5, 30.5), (40.5, 70.5)]]) / 80  # centres of pixels
    for (x, y), (column, row) in zip(to_pixels(places, window[None])[0], (places[0] * 80).astype(int), strict=True):
        patch = np.asarray(
            picture.transform((1, 1), Image.Transform.EXTENT, (x, y, x + 1, y + 1), Image.Resampling.BILINEAR)
        )
        assert abs(int(crop[row, column]) - int(patch[0, 0])) <= 3


def test_a_rotated_window_is_black_outside_the_picture():
    crop = crop_image(Image.new("L", (50, 50), 255), np.array([-25, -25, 50, 50, 45.0]), (64, 64))
    # the window's right is the photograph's lower right, which is all that lies inside
    assert crop[32, 50] == 255
    assert [crop[32, 10], crop[10, 32], crop[55, 32]] == [0, 0, 0]
