import errno
import io
import os
import shutil
import subprocess
import sys
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import psutil
import pytest
import tensorflow as tf
from helpers import picture, write_xml, xml_image
from PIL import Image

from kp_tf.core import images
from kp_tf.core.errors import KpError
from kp_tf.core.images import MAX_CROP_PIXELS, crop_image
from kp_tf.core.keypoints import NOSE
from kp_tf.data.samples import Samples
from kp_tf.input import decode
from kp_tf.input.decode import decode_crops, load_crop, stream_crops
from kp_tf.input.stored import StoredCrops

WINDOWS = [(20, 10, 60, 40), (0, 0, 150, 100), (-15, -20, 80, 90), (100, 60, 90, 70), (-40, -30, 300, 200)]


def pillow_crop(path, window, shape):
    """An independent crop: Pillow's crop pads with black, its BILINEAR resize is antialiased."""
    left, top, width, height = window
    with Image.open(path) as image:
        image.draft("L", image.size)
        crop = image.convert("L").crop((left, top, left + width, top + height))
        return np.asarray(crop.resize(shape[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize("name", ["colour.jpg", "grey.jpg", "colour.png", "grey.png", "alpha.png"])
def test_load_crop_agrees_with_pillow_eagerly_and_in_tf_data(tmp_path, name):
    mode = {"colour": "RGB", "grey": "L", "alpha": "RGBA"}[name.split(".")[0]]
    path, shape = tmp_path / name, (24, 32)
    picture(150, 100).convert(mode).save(path)
    graph = tf.data.Dataset.from_tensor_slices(WINDOWS).map(lambda window: load_crop(str(path), window, shape))
    for window, crop in zip(WINDOWS, graph.as_numpy_iterator(), strict=True):
        eager = load_crop(str(path), tf.constant(window), shape)
        assert eager.dtype == tf.uint8
        assert eager.shape == (24, 32, 1)
        np.testing.assert_array_equal(eager, crop)
        difference = np.abs(eager.numpy()[..., 0].astype(int) - pillow_crop(path, window, shape))
        assert difference.max() <= 2, "rounding: PNG to grey truncates, and Pillow resizes in integers"


def test_load_crop_keeps_the_unit_square(tmp_path):
    # one white pixel, 41 to the right and 22 below the corner of a 60 × 40 window: u = 41.5/60, v = 22.5/40
    image = np.zeros((100, 150), np.uint8)
    image[10 + 22, 20 + 41] = 255
    Image.fromarray(image).save(tmp_path / "dot.png")
    crop = load_crop(str(tmp_path / "dot.png"), tf.constant((20, 10, 60, 40)), (120, 120)).numpy()[..., 0] / 1.0
    y, x = np.mgrid[:120, :120] + 0.5
    assert (x * crop).sum() / crop.sum() / 120 == pytest.approx(41.5 / 60, abs=2e-3)
    assert (y * crop).sum() / crop.sum() / 120 == pytest.approx(22.5 / 40, abs=2e-3)


def test_load_crop_black_outside_the_photograph(tmp_path):
    Image.new("L", (50, 50), 255).save(tmp_path / "white.png")
    crop = load_crop(str(tmp_path / "white.png"), tf.constant((-50, 0, 100, 50)), (50, 100)).numpy()
    assert crop[:, :49].max() == 0
    assert crop[:, 51:].min() == 255


def test_load_crop_of_a_jpeg_with_data_behind_it(tmp_path):
    path, longer = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture(150, 100).save(path)
    longer.write_bytes(path.read_bytes() + b"appended by a camera")
    window = tf.constant(WINDOWS[2])
    np.testing.assert_array_equal(load_crop(str(path), window, (9, 9)), load_crop(str(longer), window, (9, 9)))


def samples_of(root: Path, files, boxes=None):
    boxes = np.array(boxes or [(10, 10, 40, 40)] * len(files), np.int32)
    entries = tuple(f"labels.xml, image {k + 1} ({file})" for k, file in enumerate(files))
    return Samples(root, tuple(files), boxes, None, NOSE, entries)


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
    samples = samples_of(tmp_path, files, boxes)
    with pytest.raises(KpError) as caught:
        decode_crops(samples, samples.boxes, (16, 16))
    lines = str(caught.value).splitlines()
    assert lines[0] == "6 images cannot be used:"
    for line, file, problem in zip(
        lines[1:],
        ["empty.jpg", "half.jpg", "text.jpg", "half.png", "absent.jpg", "good.jpg"],
        [
            "the file is empty",
            "the image is damaged",
            "not an image file",
            "the image is damaged",
            "no such file",
            "the box lies outside the picture of 90 × 80 pixels: left 200, top 10, 40 × 40",
        ],
        strict=True,
    ):
        assert f"({file}): " in line
        assert problem in line


@pytest.mark.parametrize("box", [(-1000, -1000, 1010, 1010), (0, 0, 100_000, 100_000)])
def test_decode_refuses_a_box_almost_all_outside(tmp_path, box):
    picture(90, 80).save(tmp_path / "a.jpg")
    samples = samples_of(tmp_path, ["a.jpg"], [box])
    with pytest.raises(KpError, match="the box lies outside the picture of 90 × 80 pixels"):
        decode_crops(samples, samples.boxes, (16, 16))


def test_the_graph_of_a_shape_is_traced_once(tmp_path, monkeypatch):
    traced = []
    monkeypatch.setattr(decode, "load_crop", lambda *arguments: traced.append(1) or load_crop(*arguments))
    picture(90, 80).save(tmp_path / "a.png")
    for left in range(3):
        samples = samples_of(tmp_path, ["a.png"] * 2, [(left, 0, 40, 40)] * 2)
        assert decode_crops(samples, samples.boxes, (11, 7)).shape == (2, 11, 7, 1)
    assert len(traced) == 1


def test_a_very_large_window_shows_what_the_predictor_sees(tmp_path):
    picture(1500, 1000).save(tmp_path / "a.png")
    window = np.array([-1800, -1100, 4500, 4000])
    assert window[2:].prod() > MAX_CROP_PIXELS
    samples = samples_of(tmp_path, ["a.png"], [window])
    (crop,) = decode_crops(samples, samples.boxes, (30, 40))
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(crop[..., 0], crop_image(image.convert("L"), window, (30, 40)))


def test_decode_on_disk_where_memory_is_short(tmp_path, monkeypatch):
    picture(90, 80).save(tmp_path / "a.jpg")
    samples = samples_of(tmp_path, ["a.jpg"] * 3)
    in_memory = decode_crops(samples, samples.boxes, (16, 16))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100}))
    on_disk = decode_crops(samples, samples.boxes, (16, 16))
    assert isinstance(on_disk, StoredCrops)
    np.testing.assert_array_equal(on_disk[:], in_memory)


def test_decode_on_a_full_disk_is_one_message(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100}))
    monkeypatch.setattr(os, "posix_fallocate", full)
    samples = samples_of(tmp_path, ["a.jpg"] * 3)
    with pytest.raises(KpError, match=r"cannot keep 3\.07e-06 GB of decoded pictures in .* \(No space left"):
        decode_crops(samples, samples.boxes, (32, 32))


# a mebibyte of disk, and pictures of two; the other namespace needs no rights on most machines
FULL = """
mount -t tmpfs -o size=1m none "$1" || exit 77
exec env TMPDIR="$1" "$2" -c '
import sys
from pathlib import Path
import psutil
from kp_tf.input.decode import decode_crops
from kp_tf.core.errors import KpError
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.core.keypoints import Scheme

psutil.virtual_memory = lambda: type("Memory", (), {"available": 0})
samples = read_dlib_xml(Path("labels.xml"), Scheme("own", ("a",), ()), labelled=False)
try:
    decode_crops(samples, samples.boxes.astype("i4"), (1024, 1024))
except KpError as error:
    sys.exit(f"error: {error}")
'
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="mounting a small disk needs unshare")
def test_decode_on_a_disk_that_is_too_small(tmp_path):
    picture(90, 80).save(tmp_path / "a.jpg")
    write_xml(tmp_path / "labels.xml", [xml_image("a.jpg", [(10, 10, 40, 40)], 0)] * 2)
    (tmp_path / "disk").mkdir()
    command = ["unshare", "-rm", "sh", "-c", FULL, "sh", tmp_path / "disk", sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("mounting a small disk is not allowed here")
    assert done.returncode == 1, done
    assert "cannot keep 0.0021 GB of decoded pictures" in done.stderr
    assert "No space left on device" in done.stderr


def test_stream_crops_decodes_each_file_once_in_order(tmp_path):
    for grey in range(5):
        Image.new("L", (90, 80), 50 * grey).save(tmp_path / f"{grey}.png")
    samples = samples_of(tmp_path, [f"{grey}.png" for grey in (3, 0, 4, 1, 2)])
    means = [crop.mean() for crop in stream_crops(samples, samples.boxes, (8, 8))]
    assert means == [150, 0, 200, 50, 100]


def claiming_jpeg(path, width, height):
    """A JPEG whose header claims another size."""
    picture(90, 80).save(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5  # of the frame's header: height, width
    data[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    path.write_bytes(data)


def test_a_picture_that_claims_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (11_000, 11_000)).save(tmp_path / "real.png")
    header = bytearray((tmp_path / "real.png").read_bytes())
    header[16:24] = 2 * (100_000).to_bytes(4, "big")
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (tmp_path / "claim.png").write_bytes(header)
    claiming_jpeg(tmp_path / "claim.jpg", 65_000, 65_000)
    samples = samples_of(tmp_path, ["real.png", "claim.png", "claim.jpg"])
    with pytest.raises(KpError) as caught:
        decode_crops(samples, samples.boxes, (16, 16))
    assert str(caught.value).startswith("3 images cannot be used:")
    assert str(caught.value).count("it has more than 120,000,000 pixels") == 3


def test_every_decoder_has_the_same_limit(tmp_path, monkeypatch):
    for name in ("plain.jpg", "plain.png", "other.webp"):
        picture(90, 80).save(tmp_path / name)
    samples = samples_of(tmp_path, ["plain.jpg", "plain.png", "other.webp"])
    assert len(decode_crops(samples, samples.boxes, (16, 16))) == 3
    monkeypatch.setenv("KP_TF_MAX_PIXELS", "7199")
    with pytest.raises(KpError) as caught:
        decode_crops(samples, samples.boxes, (16, 16))
    assert str(caught.value).count("it has more than 7,199 pixels") == 3


def test_a_large_picture_is_decoded_within_the_budget(tmp_path, monkeypatch):
    picture(90, 80).save(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PLAIN_PIXELS", 90 * 80 - 1)
    spent, samples = [], samples_of(tmp_path, ["a.png"])
    monkeypatch.setattr(images.BUDGET, "decoding", lambda pixels: nullcontext(spent.append(pixels)))
    decode_crops(samples, samples.boxes, (16, 16))
    assert spent == [90 * 80]


def test_a_file_too_large_to_be_read_at_once_is_refused(tmp_path):
    picture(90, 80).save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("ab") as file:
        file.truncate(2**30 + 1)  # takes no space on most disks
    samples = samples_of(tmp_path, ["a.png"])
    with pytest.raises(KpError, match=r"the file has more than 1\.07 GB"):
        decode_crops(samples, samples.boxes, (16, 16))


def test_nothing_is_yielded_after_a_bad_image(tmp_path):
    picture(90, 80).save(tmp_path / "good.png")
    (tmp_path / "bad.png").touch()
    samples, seen = samples_of(tmp_path, ["good.png", "bad.png", "good.png"]), []
    with pytest.raises(KpError, match="the file is empty"):
        seen.extend(stream_crops(samples, samples.boxes, (8, 8)))
    assert len(seen) == 1


def test_decode_leaves_out_and_names_bad_images(tmp_path):
    for grey in range(3):
        Image.new("L", (90, 80), 50 * grey).save(tmp_path / f"{grey}.png")
    (tmp_path / "1.png").write_text("not an image")
    bad = {}
    samples = samples_of(tmp_path, ["0.png", "1.png", "2.png"])
    crops = decode_crops(samples, samples.boxes, (8, 8), bad)
    assert [crop.mean() for crop in crops] == [0, 100]
    assert list(bad) == [1]
    assert bad[1].endswith("1.png: not an image file")
    assert "labels.xml, image 2 (1.png): cannot read" in bad[1]
