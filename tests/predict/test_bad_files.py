"""A folder with one of each bad file among a hundred good ones: right answers, and one line for each bad file."""

import json
import os
import struct

import numpy as np
import pytest
from helpers import picture, png_that_claims
from PIL import ExifTags, Image, features

from kp_tf.cli import exit_status
from kp_tf.core.keypoints import IBUG68
from kp_tf.core.orientation import TURNS
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.predict.predictor import Predictor


def save_good(folder, face):
    """A hundred photographs of a face, in several formats and orientations; the EXIF of one cannot be parsed."""
    for number in range(99):
        exif, tag = Image.Exif(), (1, 2, 3, 4, 5, 7)[number % 6]  # these turn and turn back alike
        exif[ExifTags.Base.Orientation] = tag
        shown = face.crop((number % 7, number % 5, *face.size))
        stored = shown.transpose(TURNS[tag][3]) if tag > 1 else shown
        stored.save(folder / f"good{number:02d}.{('jpg', 'png', 'webp', 'tif')[number % 4]}", exif=exif)
    face.save(folder / "odd_exif.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 30)


def save_bad(folder, format):
    """By name: what is said of the file."""
    picture(180, 150).save(folder / "cut.jpg")
    contents = {
        "empty.jpg": (b"", "the file is empty"),
        "cut.jpg": ((folder / "cut.jpg").read_bytes()[:2000], "the image is damaged"),
        "text.jpg": (b"this is no picture", "not an image file"),
        "eps.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image file"),
        "dds.png": (b"DDS " + struct.pack("<I", 124) + bytes(200), "not an image file"),
        "bomb.png": (png_that_claims(60_000, 60_000), "it has more than 120,000,000 pixels"),
        "narrow.png": (png_that_claims(1, 100_000), "a side has more than 65,535 pixels"),
        "zeros.jpg": (bytes(1000), "not an image file"),
        "screen.gif": (b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3), "cannot read"),
        "cut.webp": (b"RIFF\x20\0\0\0WEBPVP8 ", "cannot read"),
    }
    if features.check("avif"):
        picture(64, 64).save(folder / "cut.avif")
        contents["cut.avif"] = (folder / "cut.avif").read_bytes()[:-60], "cannot read"
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    (folder / "dangling.jpg").symlink_to("nothing")
    said = {name: message for name, (_, message) in contents.items()} | {"dangling.jpg": "no such file"}
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.jpg")
        said["pipe.jpg"] = "not a regular file"
    if hasattr(os, "geteuid") and os.geteuid():  # root may read all
        picture(8, 8).save(folder / "locked.jpg")
        (folder / "locked.jpg").chmod(0)
        said["locked.jpg"] = "Permission denied"
    if format == "xml":
        picture(180, 150).save(folder / "bell\a.jpg")
        said[r"bell\x07.jpg"] = "XML cannot hold this name"
    (folder / "folder.jpg").mkdir()  # searched like any other
    return said


@pytest.mark.parametrize("format", ["json", pytest.param("xml", marks=pytest.mark.long)])
def test_a_hundred_right_answers_and_one_line_for_each_bad_file(tmp_path, drawn_face, capfd, format):
    def detector(picture):
        return np.array([drawn_face[1]])

    save_good(tmp_path, drawn_face[0])
    good = sorted(tmp_path.iterdir())
    said = save_bad(tmp_path, format)
    options = {"photographs": [str(tmp_path)], "format": format, "detector": detector}
    status = exit_status("kp_tf.predict.command:predict", **options, out=tmp_path if format == "xml" else None)
    printed, problems = capfd.readouterr()
    assert status == 1
    predictor = Predictor.load(detector=detector)
    expected = {file.name: predictor.predict(file) for file in good}
    if format == "xml":
        samples = read_dlib_xml(tmp_path / "points.xml", IBUG68, partial=True)
        found = dict(zip(samples.files, samples.points, strict=True))
    else:
        found = {
            os.path.basename(photograph["file"]): np.array([face["points"] for face in photograph["faces"]])
            for photograph in json.loads(printed)["photographs"]
        }
    assert found.keys() == expected.keys()
    for name, (face,) in expected.items():
        np.testing.assert_allclose(found[name].reshape(68, 2), face.points, atol=0.51 if format == "xml" else 0.05)
    lines = [line for line in problems.splitlines() if line.startswith("  ")]
    for name, message in said.items():
        assert sum(name in line and message in line for line in lines) == 1, (name, lines)
    assert len(lines) == len(said)
