"""`kp-tf convert`: names of photographs, files that exist, and what is left out."""

import json
import re

import numpy as np
import pytest
from helpers import picture, write_imm, write_xml, xml_image

from kp_tf import cli
from kp_tf.core.choices import LABEL_FORMATS
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import boxes_around_points
from kp_tf.data.convert import convert
from kp_tf.data.formats import FORMATS, read_labels
from kp_tf.data.formats.kaggle_csv import COLUMNS

FACE = (10, 12, 30, 40)


@pytest.fixture
def xml(tmp_path):
    """dlib's XML of two photographs."""
    folder = tmp_path / "photographs"
    (folder / "sub").mkdir(parents=True)
    for file in ("a.jpg", "sub/b.jpg"):
        picture(160, 120).save(folder / file)
    write_xml(folder / "a.xml", [xml_image("a.jpg", [FACE] * 2, 3), xml_image("sub/b.jpg", [FACE], 3)])
    return folder / "a.xml"


@pytest.mark.parametrize("to", ["dlib", "coco", "cvat", "labelme", "pts"])
def test_points_are_the_same_in_every_format(xml, to, capsys):
    target = xml.parent if FORMATS[to].is_folder else xml.parent / "sub" / ".." / f"converted.{to}"
    before = {path for path in xml.parent.rglob("*") if path.is_file()}
    convert(xml, target, to)
    assert "3 faces on 2 photographs, 3 points" in capsys.readouterr().out
    convert(target, xml.parent / "again.xml", "dlib", source_format=to)
    known, again = read_labels(xml), read_labels(xml.parent / "again.xml")
    assert (known.files, known.scheme.names) == (again.files, again.scheme.names)
    np.testing.assert_array_equal(known.labels, again.labels)
    assert to == "pts" or known.boxes.tolist() == again.boxes.tolist()
    assert all(path.exists() for path in before)


def test_names_follow_the_target(xml):
    (xml.parent.parent / "labels").mkdir()
    for target, names in (
        (xml.parent.parent / "up.json", ["photographs/a.jpg", "photographs/sub/b.jpg"]),
        (xml.parent.parent / "labels" / "aside.json", ["../photographs/a.jpg", "../photographs/sub/b.jpg"]),
    ):
        convert(xml, target, "coco", allow_outside=True)
        assert [image["file_name"] for image in json.loads(target.read_text())["images"]] == names
        again = read_labels(target, allow_outside=True)
        assert [(again.root / file).resolve() for file in again.files[1:]] == [
            xml.parent / "a.jpg",
            xml.parent / "sub/b.jpg",
        ]
    aside = xml.parent.parent / "labels" / "other.json"
    with pytest.raises(
        KpError, match=r"^\.\./photographs/a\.jpg lies outside .*labels: write the labels into the folder"
    ):
        convert(xml, aside, "coco")
    assert not aside.exists()
    with pytest.raises(KpError, match=r"there is no folder .*none"):
        convert(xml, xml.parent / "none" / "a.json", "coco", allow_outside=True)
    with pytest.raises(KpError, match=r"lies outside"):
        convert(xml, xml.parent.parent / "labels", "pts", allow_outside=True)
    convert(xml, xml.parent.parent / "labels", "labelme", allow_outside=True)
    assert read_labels(xml.parent.parent / "labels", allow_outside=True).files == again.files


def test_photographs_outside_are_read_only_with_the_option(xml):
    moved = xml.parent / "sub" / "a.xml"
    moved.write_text(re.sub("file='", "file='../", xml.read_text()))
    with pytest.raises(KpError, match="a path that leaves it; --allow-outside reads it all the same"):
        convert(moved, xml.parent / "a.json", "coco")
    convert(moved, xml.parent / "a.json", "coco", allow_outside=True)
    assert read_labels(xml.parent / "a.json").files == ("a.jpg", "a.jpg", "sub/b.jpg")


def test_files_that_exist_stay_unless_they_may_be_replaced(xml):
    (xml.parent / "a_1.pts").write_text("mine")
    (xml.parent / "sub" / "b.pts").write_text("mine")
    with pytest.raises(KpError, match=r"a_1\.pts and 1 more exist already; --overwrite replaces what is there"):
        convert(xml, xml.parent, "pts")
    assert (xml.parent / "a_1.pts").read_text() == "mine"
    assert not (xml.parent / "a_2.pts").exists()
    convert(xml, xml.parent, "pts", overwrite=True)
    assert (xml.parent / "a_1.pts").read_text().startswith("version: 1")


def test_entries_that_cannot_be_used_stop_the_conversion_unless_skipped(xml, capsys):
    write_xml(xml, [xml_image("a.jpg", [FACE], 3), xml_image("b.jpg", [(0, 0, 0, 5)], 3)])
    target = xml.parent / "a.json"
    with pytest.raises(KpError, match=r"^a\.xml, image 2 \(b\.jpg\): a box needs positive width"):
        convert(xml, target, "coco")
    assert not target.exists()
    convert(xml, target, "coco", skip_bad=True)
    assert "a.xml, image 2 (b.jpg)" in capsys.readouterr().out
    assert len(read_labels(target)) == 1


def test_a_photograph_that_is_missing_leaves_nothing(xml):
    (xml.parent / "sub" / "b.jpg").unlink()
    with pytest.raises(KpError, match=r"cannot read .*b\.jpg: no such file"):
        convert(xml, xml.parent, "labelme")
    assert not list(xml.parent.rglob("*.json"))


def test_kaggles_pictures_become_files(tmp_path):
    rows = [",".join([*(str(k + column) for k in range(30)), " ".join(["9"] * 96**2)]) for column in (0, 20)]
    (tmp_path / "training.csv").write_text("\n".join([",".join((*COLUMNS, "Image")), *rows]))
    target = tmp_path / "out" / "labels.json"
    convert(tmp_path / "training.csv", target, "coco")
    samples = read_labels(target).checked()
    assert samples.files == ("pictures/00001.png", "pictures/00002.png")
    assert samples.labels[1, 14].tolist() == [48, 49]
    with pytest.raises(KpError, match="and 2 more exist already"):
        convert(tmp_path / "training.csv", target, "coco")
    convert(target, tmp_path / "again.csv", "kaggle")
    assert (tmp_path / "again.csv").read_text().split() == (tmp_path / "training.csv").read_text().split()
    assert {path.name for path in tmp_path.iterdir()} == {"training.csv", "again.csv", "out"}


def test_imm_gets_boxes_around_its_points(tmp_path):
    folder = write_imm(tmp_path) / "imm_face_db"
    convert(folder, folder / "imm.json", "coco")
    samples = read_labels(folder / "imm.json")
    assert len(samples) == 8
    np.testing.assert_allclose(samples.boxes, boxes_around_points(samples.labels), atol=1e-3)
    with pytest.raises(KpError, match="--to imm: this format is only read"):
        convert(folder, tmp_path, "imm")


def test_a_name_that_xml_cannot_express_is_refused(xml):
    content = '{"shapes": [{"label": "a\\u0001", "points": [[1, 2]], "shape_type": "point"}], "imagePath": "a.jpg"}'
    (xml.parent / "a.json").write_text(content)
    with pytest.raises(KpError, match=r"XML cannot express the character '\\x01'"):
        convert(xml.parent, xml.parent / "b.xml", "dlib")
    assert not (xml.parent / "b.xml").exists()


def test_the_command_offers_the_formats_that_there_are(xml, capsys):
    assert list(LABEL_FORMATS) == list(FORMATS)
    assert cli.main(["convert", str(xml), str(xml.parent / "c.json"), "--to", "coco"]) == 0
    assert cli.main(["convert", str(xml), str(xml.parent / "c.json"), "--to", "coco"]) == 2
    assert capsys.readouterr().err.endswith("c.json exists already; --overwrite replaces what is there\n")
