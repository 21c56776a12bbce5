"""All label formats: recognition, half a pixel, round trips, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.files import write_files
from kp_tf.core.keypoints import KAGGLE15, Scheme
from kp_tf.data.formats import FORMATS, find_format, label_names, read_labels
from kp_tf.data.formats.kaggle_csv import COLUMNS, unpack

IN_FILES = {"dlib": "a.xml", "coco": "a.json", "cvat": "a.xml", "labelme": "", "pts": "", "kaggle": "a.csv"}
PRECISION = {"dlib": 0.5, "coco": 1e-4, "cvat": 0.005, "labelme": 1e-4, "pts": 5e-4}


def in_order(samples, names):
    """Boxes and points, photograph by photograph and from left to right, with the points in the order of the names."""
    points = samples.with_scheme(Scheme("own", names, ())).labels
    order = sorted(range(len(samples)), key=lambda i: (samples.files[i], samples.boxes[i, 0]))
    return [samples.files[i] for i in order], samples.boxes[order], points[order]


def written(name, samples):
    """The labels that a format writes beside the photographs."""
    target = samples.root / IN_FILES[name]
    write_files(FORMATS[name].render(target, samples))
    return target


@pytest.mark.parametrize("name", ["dlib", "coco", "cvat", "labelme"])
def test_what_is_written_reads_back(name, labels):
    target = written(name, labels)
    assert find_format(target) == name
    again = read_labels(target).checked()
    for known, back in zip(in_order(labels, labels.scheme.names), in_order(again, labels.scheme.names), strict=True):
        if isinstance(known, list):
            assert back == known
        else:
            np.testing.assert_allclose(back, known, atol=PRECISION[name])
    assert set(label_names(target)) == set(labels.scheme.names)


@pytest.mark.parametrize("name", ["coco", "cvat", "labelme"])
def test_whole_pixels_survive_dlibs_xml(name, labels):
    labels = replace(labels, points=labels.labels.round(), boxes=labels.boxes.round())
    target = written(name, labels)
    first = read_labels(target)
    xml = labels.root / "dlib.xml"
    write_files(FORMATS["dlib"].render(xml, first))
    through = FORMATS["dlib"].read(xml, None).with_scheme(first.scheme)  # which sorts the points
    assert FORMATS[name].render(target, through) == FORMATS[name].render(target, first)


POINTS_CSV = ",".join((*COLUMNS, "Image")) + "\n" + "0," * 30 + " ".join(["7"] * 96**2)
CORNER = {
    "dlib": "<dataset><images><image file='p.png'><box left='0' top='0' width='2' height='2'>"
    "<part name='00' x='0' y='0'/></box></image></images></dataset>",
    "coco": json.dumps(
        {
            "images": [{"id": 7, "file_name": "p.png", "width": 96, "height": 96}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 2, 2], "keypoints": [0, 0, 2]}],
            "categories": [{"id": 1, "name": "face", "keypoints": ["00"]}],
        }
    ),
    "cvat": "<annotations><image id='0' name='p.png' width='96' height='96'>"
    "<box label='f' xtl='0' ytl='0' xbr='2' ybr='2'/><points label='00' points='0.5,0.5'/></image></annotations>",
    "labelme": json.dumps(
        {
            "shapes": [
                {"label": "00", "points": [[0.5, 0.5]], "shape_type": "point"},
                {"label": "f", "points": [[2, 2], [0, 0]], "shape_type": "rectangle"},
            ],
            "imagePath": "p.png",
        }
    ),
    "pts": "version: 1\nn_points:  1\n{\n1.000000 1.000000\n}\n",
    "kaggle": POINTS_CSV,
}


@pytest.mark.parametrize("name", CORNER)
def test_the_centre_of_the_top_left_pixel_is_zero(name, tmp_path):
    Image.new("L", (96, 96)).save(tmp_path / "p.png")
    source = tmp_path / (IN_FILES[name] or {"labelme": "p.json", "pts": "p.pts"}[name])
    source.write_text(CORNER[name])
    path = source if IN_FILES[name] else tmp_path
    assert find_format(path) == name
    samples = unpack(path, tmp_path)[0] if name == "kaggle" else read_labels(path)
    assert samples.labels[0, 0].tolist() == [0, 0]
    boxes = {"pts": [0, 0, 1, 1], "kaggle": [0, 0, 96, 96]}  # around the points; the picture
    assert samples.boxes.tolist() == [boxes.get(name, [0, 0, 2, 2])]


def test_a_folder_with_labels_of_two_formats_is_not_guessed(labels):
    written("labelme", labels)
    (labels.root / "a.pts").write_text(CORNER["pts"])
    with pytest.raises(KpError, match=r"holds labels of labelme and pts; `kp-tf convert --from` takes one of them"):
        find_format(labels.root)


def test_what_is_no_label_file_is_refused(tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("none.xml", "no such file"),
        ("x.txt", r"expected labels, one of dlib, coco, .* \(labelme, pts, imm are folders\)"),
        ("empty", "expected labels, a folder of labelme, pts, imm"),
    ):
        with pytest.raises(KpError, match=message):
            find_format(tmp_path / name)


def test_points_of_another_scheme_are_taken_by_name(labels):
    taken = read_labels(written("coco", labels), Scheme("two", ("right eye", "chin"), ()))
    assert taken.labels[:, 0].tolist() == [[90, 50], [159, 119]]
    assert np.isnan(taken.labels[:, 1]).all()
    assert taken.problems == ("a.json, annotation 1 (id 1): a face has no point of two",)
    with pytest.raises(KpError, match=r"3 faces of .* cannot be used"):
        read_labels(labels.root / "a.json", Scheme("none", ("chin",), ()))


@pytest.mark.parametrize("name", ["coco", "cvat", "labelme"])
def test_labels_of_another_size_of_the_photograph_are_problems(name, labels):
    target = written(name, labels)
    Image.new("L", (80, 60)).save(labels.root / "a.png")
    problems = read_labels(target).problems
    assert "the photograph has 80 × 60 pixels, and the labels say 160 × 120" in problems[0]


@pytest.mark.parametrize("name", ["coco", "cvat", "labelme"])
def test_sizes_of_the_picture_as_stored_keep_its_pixels(name, labels):
    """Labels of tools that do not turn photographs state their size as stored."""
    turned = labels.root / "sub" / "b.jpg"
    upright = turned.read_bytes()
    Image.new("RGB", (160, 120)).save(turned)  # without EXIF: written as stored
    target = written(name, labels)
    turned.write_bytes(upright)
    again = read_labels(target)
    np.testing.assert_allclose(again.labels, in_order(labels, again.scheme.names)[2], atol=0.01)


OUTSIDE = {name: text.replace("p.png", "../p.png") for name, text in CORNER.items() if "p.png" in text}


@pytest.mark.parametrize("name", OUTSIDE)
def test_photographs_outside_the_folder_need_the_option(name, tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    Image.new("L", (96, 96)).save(tmp_path / "p.png")
    (folder / (IN_FILES[name] or "p.json")).write_text(OUTSIDE[name])
    path = folder / IN_FILES[name]
    with pytest.raises(KpError, match="found a path that leaves it; --allow-outside reads it all the same"):
        read_labels(path, allow_outside=False)
    assert read_labels(path, allow_outside=True).checked().files == ("../p.png",)


def test_kaggles_points_mirror_onto_their_partners():
    names = KAGGLE15.names
    swapped = [name.replace("left", "L").replace("right", "left").replace("L", "right") for name in names]
    assert [names[k] for k in KAGGLE15.flip_indices] == swapped
    assert sorted(k for _, group in KAGGLE15.groups for k in group) == list(range(15))
    assert [names[k] for k in KAGGLE15.eyes] == ["right_eye_outer_corner", "left_eye_outer_corner"]


@pytest.mark.parametrize(("name", "suffix"), [("imm", ".asf"), ("pts", ".pts"), ("labelme", ".json")])
def test_hidden_files_beside_labels_are_ignored(name, suffix, tmp_path, request):
    if name == "imm":
        target = request.getfixturevalue("imm") / "imm_face_db"
    else:
        labels = request.getfixturevalue("labels")
        target = written(name, replace(labels, points=np.nan_to_num(labels.labels, nan=7.0)))
    count = len(read_labels(target))
    for file in [file for file in target.rglob("*") if file.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    (target / ".trash").mkdir()
    (target / ".trash" / f"a{suffix}").write_text("{}")
    samples = read_labels(target)
    assert (find_format(target), len(samples), samples.problems) == (name, count, ())


def test_a_folder_that_may_not_be_read_is_named(open_folder, nobody):
    with pytest.raises(KpError, match="cannot read the folder locked: Permission denied"):
        find_format(Path("locked"))
