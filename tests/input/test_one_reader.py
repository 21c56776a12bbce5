"""One picture, one reader: training, evaluation and the submission see the pixels that prediction sees.

The former decode with `tf.data`, the latter with Pillow; both from a box in the pixels of the file as stored.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import picture
from PIL import ExifTags, Image, ImageCms, features

from kp_tf import Predictor
from kp_tf.artifacts.weights import FOLDER, committed
from kp_tf.backends.keras_backend import load_keras_network
from kp_tf.core.geometry import crop_windows
from kp_tf.core.images import crop_image, open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.samples import Samples
from kp_tf.input.decode import decode_crops, load_crop
from kp_tf.predict.samples import predict_samples

SHAPE = (24, 32)
ROUNDING = 2  # grey levels: TensorFlow resizes in floats, and truncates where it turns the colours of a PNG to grey
BOXES = np.array([[20, 10, 60, 40], [-15, -20, 80, 90], [55, 30, 90, 100]])  # of the upright picture
RGB = picture(150, 100, seed=1)
GREY = RGB.convert("L")
VALUES = np.asarray(GREY, np.uint32)

# how the upright picture is stored, by EXIF 2.3
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def faded(image):
    """The picture, less and less opaque from the left to the right."""
    faded = image.copy()
    faded.putalpha(Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).resize(image.size))
    return faded


def turned(path, image, tag, **options):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = tag
    transpose = STORED.get(tag)
    stored = image if transpose is None else image.transpose(transpose)
    stored.save(path, exif=exif, **options)


def deep(bits):
    """Grey of so many bits in 16."""
    return Image.fromarray((VALUES * (2**bits - 1) // 255).astype(np.uint16))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write_png16(path, image):
    """A PNG of 16 bits a channel, which Pillow reads and does not write."""
    kind = {"RGB": 2, "LA": 4, "RGBA": 6}[image.mode]
    rows = (np.asarray(image).astype(np.uint16) * 257).astype(">u2")
    header = struct.pack(">IIBBBBB", *image.size, 16, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def write_turned_behind_the_pixels(path):
    """A PNG whose orientation follows its pixels."""
    turned(path, RGB, 6)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", content[start : start + 4])[0]
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])


def write_with_chunk(path, name, data):
    """A PNG that says more of its colours."""
    RGB.save(path, "PNG")
    content = path.read_bytes()
    path.write_bytes(content[:33] + chunk(name, data) + content[33:])  # behind the header


def over_white(image):
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))


def without(colour, image):
    """The picture with white where it has this colour."""
    pixels = np.array(image.convert("RGB"))
    pixels[(pixels == colour).all(axis=-1)] = 255
    return Image.fromarray(pixels)


SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
QUANTISED = RGB.quantize(64)
FLAT = RGB.quantize(8).convert("RGB")
FLAT_GREY = FLAT.convert("L")
KEY, GREY_KEY = (image.getpixel((75, 50)) for image in (FLAT, FLAT_GREY))
# by the file's name: how it is written, the upright picture that it shows, and by how many grey levels crops of it may
# differ from that on average
KINDS = {
    **{f"exif{tag}.jpg": (lambda path, tag=tag: turned(path, RGB, tag, quality=95), RGB, 2) for tag in STORED},
    **{f"exif{tag}.png": (lambda path, tag=tag: turned(path, RGB, tag), RGB, 1) for tag in (1, 6)},
    "exif_last.png": (write_turned_behind_the_pixels, RGB, 1),
    "exif5.webp": (lambda path: turned(path, RGB, 5, lossless=True), RGB, 1),
    "exif8.tif": (lambda path: turned(path, RGB, 8), RGB, 1),
    "exif9.jpg": (lambda path: turned(path, RGB, 9, quality=95), RGB, 2),  # there is no orientation 9
    "rgb.png": (RGB.save, RGB, 1),
    "gamma.png": (lambda path: write_with_chunk(path, b"gAMA", struct.pack(">I", 45455)), RGB, 1),
    "srgb.png": (lambda path: write_with_chunk(path, b"sRGB", b"\0"), RGB, 1),
    "icc.png": (lambda path: RGB.save(path, icc_profile=SRGB_PROFILE), RGB, 1),
    "icc.jpg": (lambda path: RGB.save(path, quality=95, icc_profile=SRGB_PROFILE), RGB, 2),
    "rgba.png": (faded(RGB).save, over_white(faded(RGB)), 1),
    "rgba_opaque.png": (RGB.convert("RGBA").save, RGB, 1),
    "la.png": (faded(GREY).save, over_white(faded(GREY)), 1),
    "rgb_key.png": (lambda path: FLAT.save(path, transparency=KEY), without(KEY, FLAT), 1),
    "grey_key.png": (lambda path: FLAT_GREY.save(path, transparency=GREY_KEY), without(GREY_KEY, FLAT_GREY), 1),
    "palette.png": (QUANTISED.save, QUANTISED, 1),
    "palette_key.png": (
        lambda path: QUANTISED.save(path, transparency=3),
        without(QUANTISED.getpalette()[9:12], QUANTISED),
        1,
    ),
    "palette_alpha.png": (faded(RGB).quantize(200, method=Image.Quantize.FASTOCTREE).save, over_white(faded(RGB)), 10),
    "grey.png": (GREY.save, GREY, 1),
    "black_and_white.png": (GREY.convert("1").save, GREY.convert("1"), 1),
    "cmyk.jpg": (lambda path: RGB.convert("CMYK").save(path, quality=95), RGB, 2),
    "keep_rgb.jpg": (lambda path: RGB.save(path, quality=95, keep_rgb=True), RGB, 2),
    "grey.jpg": (lambda path: GREY.save(path, quality=95), GREY, 2),
    "progressive.jpg": (lambda path: RGB.save(path, quality=95, progressive=True), RGB, 2),
    "two_pictures.jpg": (lambda path: RGB.save(path, "MPO", quality=95, save_all=True, append_images=[GREY]), RGB, 2),
    **{f"grey{bits}.{end}": (deep(bits).save, GREY, 1) for bits in (10, 12, 16) for end in ("png", "tif")},
    "rgb16.png": (lambda path: write_png16(path, RGB), RGB, 1),
    "rgba16.png": (lambda path: write_png16(path, faded(RGB)), over_white(faded(RGB)), 1),
    "la16.png": (lambda path: write_png16(path, faded(GREY)), over_white(faded(GREY)), 1),
    "fractions.tif": (Image.fromarray((VALUES / 255).astype(np.float32)).save, GREY, 1),
    "lossless.webp": (lambda path: RGB.save(path, lossless=True), RGB, 1),
    "a_webp.jpg": (lambda path: RGB.save(path, "WEBP", quality=95), RGB, 2),
    "rgb.tif": (RGB.save, RGB, 1),
    "cmyk.tif": (RGB.convert("CMYK").save, RGB, 1),
    "rgb.bmp": (RGB.save, RGB, 1),
    "rgb.gif": (QUANTISED.save, QUANTISED, 1),
    **({"exif6.avif": (lambda path: turned(path, RGB, 6, quality=95), RGB, 3)} if features.check("avif") else {}),
    "no_suffix": (lambda path: RGB.save(path, "PNG"), RGB, 1),
}


def samples_of(root, files, boxes):
    """Faces in pixels as stored: these boxes (N, 4) of the upright picture in each of the files."""
    photographs = [open_photograph(root / file) for file in files]
    stored = [photograph.orientation.boxes_to_stored(boxes) for photograph in photographs]
    names = tuple(file for file in files for _ in boxes)
    return Samples(root, names, np.concatenate(stored), None, IBUG68, names)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """For each kind the file, and the crops (3, H, W) that training and prediction make of it."""
    root = tmp_path_factory.mktemp("kinds")
    for name, (write, *_) in KINDS.items():
        write(root / name)
    samples = samples_of(root, list(KINDS), BOXES)
    upright = samples.upright(samples.orientations())
    windows = crop_windows(upright.boxes, 1.36)
    trained = decode_crops(upright, windows, SHAPE)[..., 0].astype(int)
    greys = [open_photograph(root / file).upright.convert("L") for file in samples.files]
    predicted = np.array([crop_image(grey, window, SHAPE) for grey, window in zip(greys, windows, strict=True)]).astype(
        int
    )
    n = len(BOXES)
    return {
        name: (root / name, trained[n * k : n * k + n], predicted[n * k : n * k + n]) for k, name in enumerate(KINDS)
    }


@pytest.mark.parametrize("name", KINDS)
def test_training_and_prediction_see_the_same_pixels(crops, name):
    _, trained, predicted = crops[name]
    assert np.abs(trained - predicted).max() <= ROUNDING
    assert predicted.std() > 20, "there is something to see"


@pytest.mark.parametrize("name", KINDS)
def test_the_pixels_are_those_of_the_upright_picture(crops, name):
    _, shown, tolerance = KINDS[name]
    windows = crop_windows(BOXES, 1.36)
    expected = np.array([crop_image(shown.convert("RGB").convert("L"), window, SHAPE) for window in windows]).astype(
        int
    )
    for result in crops[name][1:]:
        assert np.abs(result - expected).mean() <= tolerance


@pytest.mark.parametrize("name", ["exif1.jpg", "exif6.jpg", "rgba.png", "grey.png"])
def test_a_crop_outside_tf_data_is_the_same(crops, name):
    path, trained, _ = crops[name]
    window = crop_windows(BOXES, 1.36)[0]
    np.testing.assert_array_equal(load_crop(str(path), tf.constant(window), SHAPE)[..., 0], trained[0])


@pytest.mark.parametrize("name", ["exif1.jpg", "exif6.jpg", "grey.png"])
@pytest.mark.parametrize("window", [(10.3, -6.2, 70.5, 70.5, 37), (10, -6, 70, 70, 0)])
def test_rotated_windows_show_the_same_in_training_and_prediction(crops, name, window):
    path = crops[name][0]
    photograph = open_photograph(path)
    window = np.array(window, float)
    predicted = crop_image(photograph.upright.convert("L"), window, SHAPE).astype(int)
    trained = load_crop(str(path), tf.constant(window), SHAPE)[..., 0].numpy().astype(int)
    assert np.abs(trained - predicted).max() <= 2 * ROUNDING, "rounded before and after the rotation"
    assert predicted.std() > 20, "there is something to see"


ASTRONAUT = Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg"
FACE = np.array([[88, 77, 90, 92]])


def test_points_do_not_depend_on_who_reads_the_file(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    with Image.open(ASTRONAUT) as image:
        face = image.reduce(3)  # 320 × 260
    turned(tmp_path / "exif1.jpg", face, 1, quality=95)
    turned(tmp_path / "exif6.jpg", face, 6, quality=95)
    face.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    face.save(tmp_path / "a_webp.jpg", "WEBP", quality=95)
    faded(face).save(tmp_path / "faded.png")
    Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    files = sorted(path.name for path in tmp_path.iterdir())
    samples, info = samples_of(tmp_path, files, FACE), committed("compact")
    trained = predict_samples(load_keras_network(info), samples, info)[..., :2]
    pictures = [tmp_path / file for file in files]
    faces = list(Predictor.load(FOLDER / "compact.npz").predict_batch(pictures, samples.boxes[:, None]))
    predicted = np.array([face.points for (face,) in faces])
    pixel = 1.36 * FACE[0, 2:].max() / info.recipe.shape[0]  # of the crop
    assert np.linalg.norm(trained - predicted, axis=-1).max() < 0.3 * pixel
    upright = [
        open_photograph(path).orientation.to_upright(points) for path, points in zip(pictures, predicted, strict=True)
    ]
    for file, points in zip(files, upright, strict=True):
        error = np.linalg.norm(points - upright[files.index("exif1.jpg")], axis=-1).mean()
        assert error < (10 if file == "faded.png" else 1) * pixel, file
