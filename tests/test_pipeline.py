import io
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import picture
from PIL import Image

from kp_tf import pipeline
from kp_tf.errors import KpError
from kp_tf.pipeline import decode, fixed_batches, load_crop, scale_pixels, stream_crops, training_batches
from kp_tf.readers.records import Records
from kp_tf.schemes import NOSE

WINDOWS = [(20, 10, 60, 40), (0, 0, 150, 100), (-15, -20, 80, 90), (100, 60, 90, 70), (-40, -30, 300, 200)]


def in_tf_data(function, *arguments):
    """The function's result inside a tf.data map."""
    slices = tf.data.Dataset.from_tensors(tuple(arguments))
    return next(iter(slices.map(lambda *x: function(*x))))


def tensorflow_crop(path, window, shape):
    """An independent crop: TensorFlow's decoders and its antialiased resize."""
    contents = tf.io.read_file(str(path))
    if path.suffix == ".jpg":
        image = tf.io.decode_jpeg(contents, 1, dct_method="INTEGER_ACCURATE").numpy().astype(np.float32)
    else:
        image = tf.io.decode_png(contents, 3).numpy().astype(np.float32) @ [[0.299], [0.587], [0.114]]
    left, top, width, height = window
    larger = np.pad(image, ((300, 300), (300, 300), (0, 0)))
    crop = larger[300 + top : 300 + top + height, 300 + left : 300 + left + width]
    return tf.image.resize(crop, shape, "bilinear", antialias=True).numpy()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", ["colour.jpg", "grey.jpg", "colour.png", "grey.png", "alpha.png", "palette.png"])
def test_load_crop_agrees_with_tensorflow(tmp_path, name, window, monkeypatch):
    mode = {"colour": "RGB", "grey": "L", "alpha": "RGBA", "palette": "P"}[name.split(".")[0]]
    path = tmp_path / name
    picture(150, 100).convert(mode).save(path)
    monkeypatch.setattr(pipeline, "ENOUGH", 100)
    crop = load_crop(path, window, (24, 32))
    assert crop.dtype == np.uint8
    assert crop.shape == (24, 32, 1)
    difference = np.abs(crop - tensorflow_crop(path, window, (24, 32)))
    assert difference.max() <= 2, "rounding: Pillow resizes in integers"


def test_load_crop_of_16_bit(tmp_path):
    grey = np.arange(0, 65536, 2048, dtype=np.uint16).repeat(32).reshape(32, 32)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_crop(tmp_path / "a.png", (0, 0, 32, 32), (32, 32))[..., 0], grey // 256)


def centre(crop):
    """x, y of the light in the unit square."""
    y, x = (np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5) / np.array(crop.shape[:2])[:, None, None]
    weight = crop[..., 0] / crop.sum()
    return (x * weight).sum(), (y * weight).sum()


def test_load_crop_keeps_the_unit_square(tmp_path):
    # one white pixel, 41 to the right and 22 below the corner of a 60 × 40 window: u = 41.5/60, v = 22.5/40
    image = np.zeros((100, 150), np.uint8)
    image[10 + 22, 20 + 41] = 255
    Image.fromarray(image).save(tmp_path / "dot.png")
    crop = load_crop(tmp_path / "dot.png", (20, 10, 60, 40), (120, 120)).astype(float)
    np.testing.assert_allclose(centre(crop), (41.5 / 60, 22.5 / 40), atol=2e-3)


@pytest.mark.parametrize("size", [(640, 480), (637, 475)])  # whole blocks of a JPEG, and parts of them
@pytest.mark.parametrize("window", [(101, 53, 403, 307), (-99, -31, 450, 350), (250, 131, 411, 402)])
def test_load_crop_keeps_the_unit_square_of_a_jpeg_at_part_of_its_size(tmp_path, size, window, monkeypatch):
    y, x = np.mgrid[: size[1], : size[0]]
    dot = 255 * np.exp(-((x - 280) ** 2 + (y - 209) ** 2) / 2 / 12**2)
    Image.fromarray(dot.astype(np.uint8)).save(tmp_path / "dot.jpg", quality=100)
    left, top, width, height = window
    crops = []
    for enough in (1, 2, 100):  # at a quarter, at half and at full size
        monkeypatch.setattr(pipeline, "ENOUGH", enough)
        crops.append(load_crop(tmp_path / "dot.jpg", window, (75, 100)).astype(float))
        np.testing.assert_allclose(
            centre(crops[-1]), ((280.5 - left) / width, (209.5 - top) / height), atol=4e-4, err_msg=f"{enough}"
        )
        assert np.abs(crops[-1] - crops[0]).max() <= 6
    assert not np.array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[1], crops[2])


def test_load_crop_black_outside_the_photograph(tmp_path):
    Image.new("L", (50, 50), 255).save(tmp_path / "white.png")
    crop = load_crop(tmp_path / "white.png", (-50, 0, 100, 50), (50, 100))
    assert crop[:, :49].max() == 0
    assert crop[:, 51:].min() == 255


def test_load_crop_of_a_jpeg_with_data_behind_it(tmp_path):
    path, longer = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture(150, 100).save(path)
    longer.write_bytes(path.read_bytes() + b"appended by a camera")
    np.testing.assert_array_equal(*(load_crop(file, WINDOWS[2], (9, 9)) for file in (path, longer)))


def test_scale_pixels_eagerly_and_in_tf_data():
    images = tf.constant([[0, 51], [204, 255]], tf.uint8)
    expected = [[-0.5, -0.3], [0.3, 0.5]]
    np.testing.assert_allclose(scale_pixels(images), expected, atol=1e-7)
    np.testing.assert_allclose(in_tf_data(scale_pixels, images), expected, atol=1e-7)


def records_of(root: Path, files, boxes=None):
    boxes = np.array(boxes or [(10, 10, 40, 40)] * len(files), np.int32)
    entries = tuple(f"labels.xml, image {k + 1} ({file})" for k, file in enumerate(files))
    return Records(root, tuple(files), boxes, None, NOSE, entries)


def test_decode_names_every_bad_image(tmp_path):
    picture(90, 80).save(tmp_path / "good.jpg")
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("not an image")
    png = io.BytesIO()
    picture(90, 80).save(png, "png")
    (tmp_path / "half.png").write_bytes(png.getvalue()[:2000])
    files = ["good.jpg", "empty.jpg", "half.jpg", "good.jpg", "text.jpg", "half.png", "absent.jpg", "good.jpg"]
    boxes = [[10, 10, 40, 40]] * 7 + [[200, 10, 40, 40]]
    boxes[2] = [10, 0, 40, 8]  # what is missing lies below the window
    records = records_of(tmp_path, files, boxes)
    with pytest.raises(KpError) as caught:
        decode(records, records.boxes, (16, 16))
    lines = str(caught.value).splitlines()
    assert lines[0] == "6 images that cannot be used:"
    for line, file, found in zip(
        lines[1:],
        ["empty.jpg", "half.jpg", "text.jpg", "half.png", "absent.jpg", "good.jpg"],
        ["an empty file", "a damaged one", "no image", "a damaged one", "no such file", "outside: 200, 10, 40"],
        strict=True,
    ):
        assert f"({file})" in line
        assert found in line


@pytest.mark.parametrize("box", [(-1000, -1000, 1010, 1010), (0, 0, 100_000, 100_000)])
def test_decode_refuses_a_box_almost_all_outside(tmp_path, box):
    picture(90, 80).save(tmp_path / "a.jpg")
    records = records_of(tmp_path, ["a.jpg"], [box])
    with pytest.raises(KpError, match="found one almost all outside"):
        decode(records, records.boxes, (16, 16))


def test_stream_crops_decodes_ahead_while_nobody_asks(tmp_path, monkeypatch):
    picture(90, 80).save(tmp_path / "a.jpg")
    records, started = records_of(tmp_path, ["a.jpg"] * 500), []
    monkeypatch.setattr(
        pipeline, "load_crop", lambda *arguments: started.append(1) or np.zeros((8, 8, 1), np.uint8)
    )
    crops = stream_crops(records, records.boxes, (8, 8))
    for _ in range(3):
        next(crops)
    limit = time.monotonic() + 5
    while len(started) < pipeline.AHEAD and time.monotonic() < limit:
        time.sleep(0.02)  # as a network that computes
    time.sleep(0.1)
    crops.close()
    assert pipeline.AHEAD <= len(started) <= pipeline.AHEAD + 3, "decoded ahead, and no further"


def test_decode_on_disk_where_memory_is_short(tmp_path, monkeypatch):
    picture(90, 80).save(tmp_path / "a.jpg")
    records = records_of(tmp_path, ["a.jpg"] * 3)
    in_memory = decode(records, records.boxes, (16, 16))
    monkeypatch.setattr(pipeline.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100}))
    on_disk = decode(records, records.boxes, (16, 16))
    assert isinstance(on_disk, np.memmap)
    np.testing.assert_array_equal(on_disk, in_memory)


def test_stream_crops_decodes_each_file_once_in_order(tmp_path):
    for grey in range(5):
        Image.new("L", (90, 80), 50 * grey).save(tmp_path / f"{grey}.png")
    records = records_of(tmp_path, [f"{grey}.png" for grey in (3, 0, 4, 1, 2)])
    means = [crop.mean() for crop in stream_crops(records, records.boxes, (8, 8))]
    assert means == [150, 0, 200, 50, 100]


CROPS = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 1), np.uint8)
UNITS = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32)


def batches(batch_size, seed=0, first_epoch=0, steps=6):
    """(images, points, draws) of a few batches, where the transform hands the draws on as points."""
    seen = []

    def transform(images, points, draws):
        return images, tf.concat([points, draws[:, :, None] * [1.0, 0.0]], axis=1)

    for images, points in training_batches(CROPS, UNITS, batch_size, seed, transform, 2, first_epoch).take(steps):
        np.testing.assert_allclose((images[:, 0, 0, 0] + 0.5) * 255, points[:, 0, 0], atol=1e-4)  # still pairs
        seen.append((points[:, 0, 0].numpy().astype(int).tolist(), points[:, 3:, 0].numpy()))
    return seen


def test_training_batches_each_epoch_has_every_picture_once():
    sizes_and_members = [[member for member, _ in batches(4)[k : k + 3]] for k in (0, 3)]
    for epoch in sizes_and_members:
        assert [len(batch) for batch in epoch] == [4, 4, 2]
        assert sorted(member for batch in epoch for member in batch) == list(range(10))
    assert sizes_and_members[0] != sizes_and_members[1], "another order in another epoch"


def test_training_batches_follow_the_seed_and_the_epoch_alone():
    orders = [[member for member, _ in batches(4, seed)] for seed in (5, 5, 6)]
    assert orders[0] == orders[1] != orders[2]
    assert [member for member, _ in batches(4, 5, first_epoch=1, steps=3)] == orders[0][3:]


@pytest.mark.parametrize("batch_size", [4, 10])
def test_training_batches_draws_belong_to_the_picture_whatever_the_batch(batch_size):
    table = tf.random.stateless_uniform((len(CROPS), 2), tf.constant([7, 0], tf.int64)).numpy()
    for members, draws in batches(batch_size, seed=7, steps=-(-10 // batch_size)):
        np.testing.assert_array_equal(draws, table[members])


def test_fixed_batches_in_order():
    seen = list(fixed_batches(CROPS, UNITS, 4))
    assert [len(images) for images, _ in seen] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([points for _, points in seen]), UNITS)
    np.testing.assert_allclose(np.concatenate([images for images, _ in seen]), CROPS / 255 - 0.5, atol=1e-7)
