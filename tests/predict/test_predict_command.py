"""`predict` with the network that comes with the project, on synthetic faces that a fake detector knows."""

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import INFO, write_run
from PIL import ExifTags, Image

from kp_tf.core.errors import KpError, PartialError
from kp_tf.core.keypoints import IBUG68
from kp_tf.core.orientation import Orientation
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.predict.command import predict
from kp_tf.predict.predictor import Predictor


@pytest.fixture
def photos(drawn_face, tmp_path):
    """A folder with the drawn face in two files, and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        drawn_face[0].save(folder / name)
    (folder / "notes.txt").write_text("no photograph")
    return folder


@pytest.fixture
def detector(drawn_face):
    return lambda picture: np.array([drawn_face[1]])


@pytest.fixture
def face(photos, detector):
    """The face of a.png."""
    (face,) = Predictor.load(detector=detector).predict(photos / "a.png")
    return face


def test_predict_prints_json_and_csv(photos, detector, face, capsys):
    predict([str(photos)], detector=detector)
    content = json.loads(capsys.readouterr().out)
    assert [Path(each["file"]).name for each in content["photographs"]] == ["a.png", "b.jpg"]
    assert (content["network"], content["names"]) == ("compact", list(IBUG68.names))
    np.testing.assert_allclose(content["photographs"][0]["faces"][0]["points"], face.points, atol=0.006)
    predict([str(photos / "*.png")], format="csv", detector=detector)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 1 + 68
    assert rows[5].startswith(f"{photos / 'a.png'},1,04,{face.points[4, 0]:.2f},")


def test_predict_writes_points_and_pictures(photos, detector, face, tmp_path, capsys):
    out = tmp_path / "out"
    predict([str(photos)], out=out, format="pts", detector=detector)
    assert capsys.readouterr().out == f"2 faces in 2 photographs: {out}, pictures in {out / 'drawn'}\n"
    assert sorted(path.name for path in out.iterdir()) == ["a_1.pts", "b_1.pts", "drawn"]
    lines = (out / "a_1.pts").read_text().splitlines()
    written = np.array([[float(value) for value in line.split()] for line in lines[3:-1]])
    np.testing.assert_allclose(written, face.points + 1, atol=0.006)
    with Image.open(out / "drawn" / "a.jpg") as drawn, Image.open(photos / "a.png") as plain:
        assert drawn.size == plain.size
        difference = np.abs(np.asarray(drawn, int) - np.asarray(plain, int)).max(axis=2)
    left, top, width, _ = face.box.astype(int)
    assert (difference[top, left : left + width] > 60).mean() > 0.5, "the upper edge of the box"


@pytest.mark.parametrize("format", ["json", "csv"])
def test_predict_writes_one_file_for_all_photographs(photos, detector, tmp_path, capsys, format):
    predict([str(photos)], format=format, detector=detector)
    printed = capsys.readouterr().out
    predict([str(photos)], out=tmp_path / "out", format=format, detector=detector)
    assert (tmp_path / "out" / f"points.{format}").read_text() == printed
    tables = {"json": [], "csv": ["faces.csv"]}[format]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["drawn", *tables, f"points.{format}"]
    for table in tables:
        assert [row.split(",")[1] for row in (tmp_path / "out" / table).read_text().splitlines()] == ["face", "1", "1"]


def test_predict_takes_boxes_instead_of_detecting(photos, face, drawn_face, capsys):
    def none_needed(picture):
        raise AssertionError("the detector was called")

    predict([str(photos / "a.png")], boxes=[drawn_face[1], (60, 60, 120, 120)], detector=none_needed)
    first, second = json.loads(capsys.readouterr().out)["photographs"][0]["faces"]
    np.testing.assert_allclose(first["points"], face.points, atol=0.006)
    assert second["box"] == [60, 60, 120, 120]


def test_predict_writes_xml_that_readers_take(photos, face, drawn_face):
    drawn_face[0].crop((0, 0, 260, 250)).save(photos / "b.jpg")

    def detector(picture):
        return np.array([drawn_face[1]] if picture.height == 260 else []).reshape(-1, 4)

    predict([str(photos)], out=photos, format="xml", detector=detector)
    samples = read_dlib_xml(photos / "points.xml", IBUG68, partial=True)
    assert samples.files == ("a.png",), "b.jpg has no face"
    np.testing.assert_allclose(samples.points[0], face.points, atol=0.51)
    assert "b.jpg" in (photos / "points.xml").read_text()


def test_predict_refuses_xml_away_from_the_photographs(photos, tmp_path):
    with pytest.raises(KpError, match=r"--format xml: .*a\.png is not in the folder of the XML"):
        predict([str(photos)], out=tmp_path / "elsewhere", format="xml")
    assert not (tmp_path / "elsewhere").exists()


def test_one_bad_photograph_does_not_stop_the_others(photos, detector, capsys):
    (photos / "c.jpg").write_bytes(b"")
    with pytest.raises(KpError, match=r"cannot read .*c\.jpg: the file is empty") as raised:
        predict([str(photos)], detector=detector)
    assert raised.value.status == 1
    assert len(json.loads(capsys.readouterr().out)["photographs"]) == 2
    with pytest.raises(KpError, match="the file is empty") as raised:
        predict([str(photos / "c.jpg")], out=photos / "new" / "out", detector=detector)
    assert raised.value.status == 2
    assert not (photos / "new").exists(), "no folder is left if nothing could be done"


def test_a_picture_that_cannot_be_drawn_does_not_stop_the_others(photos, detector, face, tmp_path):
    Image.new("L", (65_520, 8)).save(photos / "a-strip.png")
    with pytest.raises(PartialError, match=r"cannot write .*drawn/a-strip\.jpg: a JPEG has at most 65,500"):
        predict([str(photos)], boxes=None, out=tmp_path / "out", detector=lambda picture: np.array([[10, 0, 8, 8]]))
    assert sorted(path.name for path in (tmp_path / "out" / "drawn").iterdir()) == ["a.jpg", "b.jpg"]
    content = json.loads((tmp_path / "out" / "points.json").read_text())
    assert [Path(each["file"]).name for each in content["photographs"]] == ["a-strip.png", "a.png", "b.jpg"]


LATIN, CONTROL = os.fsdecode(b"caf\xe9.png"), "a\x1b\nb.png"  # a Latin-1 name where names are UTF-8


@pytest.mark.parametrize("format", ["json", "csv", "pts"])
def test_names_that_cannot_be_encoded_are_written_as_escapes(photos, detector, tmp_path, format):
    for name in (LATIN, CONTROL):
        shutil.copy(photos / "a.png", photos / name)
    predict([str(photos)], out=tmp_path, format=format, detector=detector)
    assert {LATIN.replace("png", "jpg"), CONTROL.replace("png", "jpg")} < set(os.listdir(tmp_path / "drawn"))
    if format == "json":
        content = json.loads((tmp_path / "points.json").read_text("utf-8"))
        assert {LATIN, CONTROL} < {Path(each["file"]).name for each in content["photographs"]}
    if format == "csv":
        with (tmp_path / "points.csv").open(encoding="utf-8", newline="") as file:
            names = {Path(row["file"]).name for row in csv.DictReader(file)}
        assert {r"caf\udce9.png", CONTROL} < names


def test_xml_leaves_out_names_that_it_cannot_hold(photos, detector):
    for name in (LATIN, CONTROL):
        shutil.copy(photos / "a.png", photos / name)
    with pytest.raises(PartialError) as raised:
        predict([str(photos)], out=photos, format="xml", detector=detector)
    assert str(raised.value).splitlines() == [
        "2 files cannot be used:",
        r"  a\x1b\nb.png: XML cannot hold this name; rename the file",
        r"  caf\udce9.png: XML cannot hold this name; rename the file",
    ]
    assert read_dlib_xml(photos / "points.xml", IBUG68).files == ("a.png", "b.jpg")


@pytest.mark.parametrize("format", ["pts", "xml"])
def test_long_names_are_shortened_to_different_ones(photos, detector, format):
    for name in (f"{'x' * 251}.png", f"{'x' * 250}y.png", f"{'人' * 83}.webp"):
        shutil.copy(photos / "a.png", photos / name)
    predict([str(photos)], out=photos, format=format, detector=detector)
    drawn = {path.stem for path in (photos / "drawn").iterdir()}
    assert drawn == {"a", "b", "x" * 235, f"{'x' * 235}-2", "人" * 78}
    if format == "pts":
        assert {path.name for path in photos.glob("*.pts")} == {f"{name}_1.pts" for name in drawn}


def test_predicting_a_folder_again_leaves_out_its_drawn_pictures(photos, detector, capsys):
    predict([str(photos)], out=photos, detector=detector)
    predict([str(photos)], out=photos, detector=detector)
    assert capsys.readouterr().out.splitlines()[1].startswith("2 faces in 2 photographs")


def test_results_of_files_with_the_same_stem_do_not_collide(photos, detector, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes((photos / "a.png").read_bytes())
    (photos / "a.png").rename(photos / "a-2.png")
    files = [photos / "a-2.png", tmp_path / "one" / "a.png", tmp_path / "two" / "a.png"]
    predict([str(file) for file in files], out=tmp_path / "out", format="pts", detector=detector)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.pts")) == ["a-2_1.pts", "a-3_1.pts", "a_1.pts"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"photographs": ["*.gif"]}, r"no photograph matches .*\*\.gif"),
        ({"photographs": ["empty"]}, "there are no photographs or clips in the folder empty"),
        ({"photographs": ["."], "format": "pts"}, "--format pts writes files and needs --out DIR"),
        ({"photographs": ["."], "boxes": [(1, 2, 3, 4)]}, "--box takes one photograph, not 2"),
        (
            {"photographs": ["a.png"], "out": Path("notes.txt/out")},
            "--out .*out: cannot make the folder: Not a directory",
        ),
    ],
)
def test_bad_arguments_are_refused(photos, monkeypatch, arguments, message):
    (photos / "empty").mkdir()
    monkeypatch.chdir(photos)
    with pytest.raises(KpError, match=message):
        predict(**arguments)


def test_the_network_what_was_skipped_and_photographs_without_a_face_are_named(photos, drawn_face, capsys):
    image, box = drawn_face
    image.save(photos / "c.gif", save_all=True, append_images=[image.rotate(90), image.rotate(180)])
    Image.new("RGB", (300, 200)).save(photos / "d.jpg")
    predict([str(photos)], detector=lambda picture: np.array([box] if picture.width == 260 else []).reshape(-1, 4))
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)["photographs"]) == 4
    network, no_face, skipped = printed.err.splitlines()
    assert network == "network: compact"
    assert no_face.startswith(f"no face in {photos / 'd.jpg'}: pass its box (--box L,T,W,H), ")
    assert skipped == "skipped: 2 further frames of .gif, 1 .txt"


@pytest.fixture
def turned(photos, drawn_face):
    """A photograph whose EXIF turns it upright, with the box of its face upright."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = drawn_face[0].crop((0, 0, 250, 260))
    image.transpose(Image.Transpose.ROTATE_90).save(photos / "turned.png", exif=exif)
    return photos / "turned.png", drawn_face[1]


def test_upright_gives_pixels_of_the_upright_photograph(turned, photos, face, tmp_path, capsys):
    photograph, box = turned
    results = {}
    for upright in (False, True):
        predict([str(photograph)], upright=upright, detector=lambda picture: np.array([box]))
        (results[upright],) = json.loads(capsys.readouterr().out)["photographs"]
    stored, upright = results[False], results[True]
    assert (stored["width"], stored["height"], stored["orientation"]) == (260, 250, 6)
    assert (upright["width"], upright["height"], upright["orientation"]) == (250, 260, 1)
    np.testing.assert_allclose(upright["faces"][0]["box"], box)
    np.testing.assert_allclose(upright["faces"][0]["points"], face.points, atol=1.5)
    orientation = Orientation((250, 260), 6)
    points = orientation.to_upright(np.array(stored["faces"][0]["points"]))
    np.testing.assert_allclose(upright["faces"][0]["points"], points, atol=0.02)
    predict([str(photograph)], boxes=[box], upright=True)
    assert json.loads(capsys.readouterr().out)["photographs"][0]["faces"] == upright["faces"], "the box is upright too"


@pytest.mark.parametrize("format", ["csv", "pts", "xml"])
def test_upright_is_for_every_format(turned, photos, face, tmp_path, format):
    photograph, box = turned
    detector = lambda picture: np.array([box])  # noqa: E731
    predict([str(photograph)], out=photos, format=format, upright=True, detector=detector)
    if format == "csv":
        with (photos / "points.csv").open(newline="") as file:
            points = [[float(row["x"]), float(row["y"])] for row in csv.DictReader(file)]
    elif format == "pts":
        lines = (photos / "turned_1.pts").read_text().splitlines()[3:-1]
        points = [[float(value) - 1 for value in line.split()] for line in lines]
    else:
        points = read_dlib_xml(photos / "points.xml", IBUG68, partial=True).points[0]
    np.testing.assert_allclose(points, face.points, atol=1.5)
    with Image.open(photos / "drawn" / "turned.jpg") as drawn:
        assert drawn.size == (250, 260)


def test_photographs_that_may_not_be_read_do_not_stop_the_others(locked_photos, nobody, detector, capsys):
    with pytest.raises(PartialError) as raised:
        predict(["a.png", "b.jpg", "locked/a.png", "locked"], detector=detector)
    assert str(raised.value).splitlines()[1:] == [
        "  cannot read the folder locked: Permission denied",
        "  cannot read b.jpg: Permission denied",
        "  cannot read locked/a.png: Permission denied",
    ]
    assert [each["file"] for each in json.loads(capsys.readouterr().out)["photographs"]] == ["a.png"]


@pytest.fixture
def locked_photos(photos, monkeypatch):
    """The photographs are in the working directory; one of them and a folder may not be read."""
    monkeypatch.chdir(photos)
    (photos / "locked").mkdir()
    shutil.copy("a.png", "locked")
    (photos / "b.jpg").chmod(0)
    (photos / "locked").chmod(0)
    yield
    (photos / "locked").chmod(0o700)


def test_a_network_for_whole_photographs_says_so(photos, tmp_path, capsys):
    info = replace(INFO, recipe=replace(INFO.recipe, dataset="imm"))
    run = str(write_run(tmp_path / "run", info))
    predict([str(photos / "a.png")], run=run)
    assert "note: this network was trained on photographs like IMM's" in capsys.readouterr().err
    predict([str(photos / "a.png")], run=run, boxes=[(60, 60, 120, 120)])
    assert "note" not in capsys.readouterr().err
