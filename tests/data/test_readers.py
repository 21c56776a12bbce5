import hashlib
import tracemalloc

import numpy as np
import pytest
from helpers import picture, write_asf, write_xml, xml_image

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, NOSE, Scheme
from kp_tf.data.datasets import Data, find_data, read_labelled, read_own, read_test, split, with_face_boxes
from kp_tf.data.dlib_xml import part_names, read_dlib_xml, write_dlib_xml
from kp_tf.data.imm import imm_validation, read_imm
from kp_tf.data.samples import in_validation, is_mirror, photograph_key


def test_read_imm_points_in_pixels(imm):
    folder = imm / "imm_face_db"
    units = np.full((58, 2), 0.25)
    units[7] = (0.5, 1.0)
    write_asf(folder / "31-1m.asf", units, extra="\t0.00\t0.00\t0.00")  # three columns more, as in 41 real files
    records = read_imm(folder)
    assert len(records) == 8
    assert records.files[0] == "31-1m.jpg"
    assert records.boxes[0].tolist() == [0, 0, 160, 120]
    # u = 0.25 of 160 pixels is the edge between pixels 39 and 40
    np.testing.assert_allclose(records.points[0, 0], (39.5, 29.5))
    np.testing.assert_allclose(records.points[0, 7], (79.5, 119.5))


def test_read_labelled_nose_is_point_52(imm):
    everything = read_imm(imm / "imm_face_db")
    nose = read_labelled(Data(imm, sample=False), "imm", NOSE)
    assert nose.points.shape == (8, 1, 2)
    np.testing.assert_array_equal(nose.points[:, 0], everything.points[:, 52])


def asf_lines(imm):
    path = imm / "imm_face_db" / "32-3m.asf"
    return path, path.read_text().splitlines()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda lines: lines[:40], "32-3m.asf: expected 58 lines of points, found 32"),
        (lambda lines: [line.replace("58", "57") if line == "58" else line for line in lines], "points, 58, found"),
        (lambda lines: [], "32-3m.asf: expected the number of points, 58, found an empty file"),
        (lambda lines: [*lines[:10], "0 4 a 0.5 2 0 1", *lines[11:]], "32-3m.asf, line 11: expected numbers"),
        (lambda lines: [*lines[:10], "0 4", *lines[11:]], "32-3m.asf, line 11: expected numbers"),
        (lambda lines: [*lines[:10], "0 4 nan 0.5 2 0 1", *lines[11:]], "32-3m.asf, line 11: expected finite"),
        (lambda lines: lines[:-1], "32-3m.asf: expected the photograph's name"),
        (lambda lines: [*lines[:-1], "../31-1m.jpg"], "expected a name such as 01-1m.jpg, found '../31-1m.jpg'"),
        (lambda lines: [*lines[:-1], "32-4m.jpg"], "32-3m.asf: expected its photograph 32-4m.jpg beside it"),
    ],
)
def test_read_imm_bad_asf(imm, spoil, expected):
    path, lines = asf_lines(imm)
    path.write_text("\n".join(spoil(lines)))
    with pytest.raises(KpError) as caught:
        read_imm(imm / "imm_face_db")
    assert expected in str(caught.value)


def test_read_imm_names_all_bad_files(imm):
    for name in ("31-1m", "33-3m"):
        (imm / "imm_face_db" / f"{name}.jpg").write_bytes(b"no image")
    with pytest.raises(KpError) as caught:
        read_imm(imm / "imm_face_db")
    text = str(caught.value)
    assert text.startswith("2 bad files")
    assert "31-1m.jpg" in text
    assert "33-3m.jpg" in text


def test_read_imm_empty_folder(tmp_path):
    with pytest.raises(KpError, match=r"found no \.asf file"):
        read_imm(tmp_path)


def test_read_dlib_xml_boxes_points_and_order(tmp_path):
    images = [xml_image("a/b.jpg", [(5, 6, 70, 80), (1, 2, 30, 40)]), xml_image("c.png", [(-3, 0, 10, 10)])]
    write_xml(tmp_path / "labels.xml", images)
    records = read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    assert records.files == ("a/b.jpg", "a/b.jpg", "c.png")
    assert records.boxes.tolist() == [[5, 6, 70, 80], [1, 2, 30, 40], [-3, 0, 10, 10]]
    assert records.points[1, 67].tolist() == [1 + 67, 2 + 2 * 67]
    assert records.entries[2] == "labels.xml, image 2 (c.png)"


def test_read_dlib_xml_parts_in_any_order(tmp_path):
    parts = [f"<part name='{k:02d}' x='{k}' y='0'/>" for k in reversed(range(68))]
    face = f"<image file='a.jpg'><box top='0' left='0' width='9' height='9'>{''.join(parts)}</box></image>"
    write_xml(tmp_path / "labels.xml", [face])
    records = read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    assert records.points[0, :, 0].tolist() == list(range(68))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (xml_image("a.jpg", []), "expected a box, found none"),
        (xml_image("a.jpg", [(0, 0, 9, 9)], 67), "expected the 68 parts of ibug68, found 67, part '67' missing"),
        (xml_image("a.jpg", [(0, 0, 9, 9)]).replace("'67'", "'66'"), "found part '66' doubled"),
        (xml_image("a.jpg", [(0, 0, 9, 9)]).replace("'67'", "'68'"), "part '67' missing"),
        (xml_image("a.jpg", [(0, 0, 9, 9)], 69), "found 69, parts of other names"),
        (xml_image("a.jpg", [(0, 0, 0, 9)]), "positive width and height, found 0 × 9"),
        (xml_image("a.jpg", [(0, 0, 9, -9)]), "positive width and height, found 9 × -9"),
        (xml_image("a.jpg", [(0, 0, 9, 9)]).replace("x='67'", "x='six'"), "a number x in <part>, found 'six'"),
        (xml_image("a.jpg", [(0, 0, 9, 9)]).replace("left='0'", "left='inf'"), "a number left in <box>"),
        (xml_image("../../x.jpg", [(0, 0, 9, 9)]), "found a path that leaves it"),
        (xml_image("/etc/passwd", [(0, 0, 9, 9)]), "found a path that leaves it"),
        (xml_image("", [(0, 0, 9, 9)]), "expected the name of an image"),
    ],
)
def test_read_dlib_xml_bad_entry(tmp_path, image, expected):
    write_xml(tmp_path / "labels.xml", [xml_image("good.jpg", [(0, 0, 9, 9)]), image])
    with pytest.raises(KpError) as caught:
        read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    assert "labels.xml, image 2" in str(caught.value)
    assert expected in str(caught.value)


def test_read_dlib_xml_link_that_leaves_the_folder(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.jpg").touch()
    (tmp_path / "inside" / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    write_xml(tmp_path / "inside" / "labels.xml", [xml_image("a.jpg", [(0, 0, 9, 9)])])
    with pytest.raises(KpError, match="leaves it"):
        read_dlib_xml(tmp_path / "inside" / "labels.xml", IBUG68)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<dataset><images>", "expected XML, found: no element found: line 1"),
        ("<dataset><images/></dataset>", "expected <image> entries"),
        ("<!DOCTYPE d [<!ENTITY e 'x'>]><dataset><images>&e;</images></dataset>", "without entities"),
    ],
)
def test_read_dlib_xml_bad_file(tmp_path, text, expected):
    (tmp_path / "labels.xml").write_text(text)
    with pytest.raises(KpError) as caught:
        read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    assert expected in str(caught.value)


def test_read_dlib_xml_names_twenty_and_counts(tmp_path):
    write_xml(tmp_path / "labels.xml", [xml_image(f"{k}.jpg", []) for k in range(25)])
    with pytest.raises(KpError) as caught:
        read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[0].startswith("25 bad entries")
    assert lines[-1] == "  … and 5 more"


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("helen/trainset/123_1.jpg", "helen/trainset/123"),
        ("helen/trainset/123_2_mirror.jpg", "helen/trainset/123"),
        ("afw/4538917191_5_mirror.jpg", "afw/4538917191"),
        ("lfpw/trainset/image_0001.png", "lfpw/trainset/image_0001"),
        ("lfpw/testset/image_0001_mirror.jpg", "lfpw/testset/image_0001"),
        ("ibug/image_003_1.jpg", "ibug/image_003"),
        ("sample/00001.jpg", "sample/00001"),
        ("plain.jpg", "plain"),
    ],
)
def test_photograph_key(file, key):
    assert photograph_key(file) == key
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")  # the first eight hex digits
    assert in_validation(file) == (number % 10 == 0)


def test_split_keeps_photographs_together_and_mirrors_out_of_validation(tmp_path):
    files = [f"helen/{n}_{face}{m}.jpg" for n in range(200) for face in (1, 2) for m in ("", "_mirror")]
    write_xml(tmp_path / "labels.xml", [xml_image(file, [(0, 0, 9, 9)]) for file in files])
    records = read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    train, validation = split(records, "ibug")
    keys = [{photograph_key(files[i]) for i in side} for side in (train, validation)]
    assert not keys[0] & keys[1]
    assert 10 <= len(keys[1]) <= 30
    assert len(train) == 4 * len(keys[0])
    assert len(validation) == 2 * len(keys[1])
    assert not any(is_mirror(files[i]) for i in validation)


def test_imm_validation_is_people_33_to_40():
    assert [n for n in range(1, 60) if imm_validation(f"{n:02d}-1m.jpg")] == list(range(33, 41))


def test_split_with_an_empty_side(tmp_path):
    write_xml(tmp_path / "labels.xml", [xml_image("a.jpg", [(0, 0, 9, 9)])])
    with pytest.raises(KpError, match="for training and for validation, found 0 and 1 of 1"):
        split(read_dlib_xml(tmp_path / "labels.xml", IBUG68), "ibug")


def test_find_data_order(imm, ibug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KP_TF_DATA", str(imm))
    (tmp_path / "data" / "imm_face_db").mkdir(parents=True)
    assert find_data(str(ibug), "ibug").root == ibug
    assert find_data(None, "imm").root == imm
    monkeypatch.delenv("KP_TF_DATA")
    assert find_data(None, "imm").root.resolve() == tmp_path / "data"


def test_find_data_named_but_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KpError, match=r"--data .*: expected a folder that holds imm_face_db/, found none"):
        find_data(str(tmp_path), "imm")
    monkeypatch.setenv("KP_TF_DATA", str(tmp_path))
    with pytest.raises(KpError, match=r"\$KP_TF_DATA"):
        find_data(None, "ibug")


def test_read_test_prefers_kaggles_file(ibug):
    folder = ibug / "ibug_300W_large_face_landmark_dataset"
    picture(50, 50).save(folder / "only.jpg")
    write_xml(folder / "labels_ibug_300W_test.xml", [xml_image("only.jpg", [(1, 2, 30, 40)])])
    assert len(read_test(Data(ibug, sample=False))) == 4
    (folder / "labels_ibug_300W_test_parsed.xml").unlink()
    records = read_test(Data(ibug, sample=False))
    assert records.files == ("only.jpg",)
    assert records.points is None


def test_partial_labels_are_read_and_written_again(tmp_path):
    def box(parts, more=""):
        parts = "".join(f"<part name='{name}' x='{x}' y='{y}'/>" for name, x, y in parts)
        return f"<box left='1' top='2' width='30' height='40'{more}>{parts}</box>"

    several = (
        box([("p10", 5, 6), ("p9", 7, 8)]) + box([("p2", 1, 2)], " ignore='1'") + box([("p9", -3, 4), ("q", 0, 0)])
    )
    images = [f"<image file='a.png'>{several}</image>", "<image file='b.png'/>"]
    path = tmp_path / "own.xml"
    write_xml(path, images)
    assert part_names(path) == ("p9", "p10", "q"), "not those of what is ignored"
    for _ in range(2):
        records = read_dlib_xml(path, Scheme("own", ("p9", "p10"), ()), partial=True)
        assert records.files == ("a.png", "a.png")
        assert records.boxes.tolist() == [[1, 2, 30, 40]] * 2
        nothing = [np.nan, np.nan]
        np.testing.assert_array_equal(records.points, [[[7, 8], [5, 6]], [[-3, 4], nothing]])
        write_dlib_xml(path, records)
    with pytest.raises(KpError, match=r"image 1 \(a.png\): expected parts of own or ignore='1', found none"):
        read_dlib_xml(path, Scheme("own", ("p1",), ()), partial=True)
    with pytest.raises(KpError, match=r"part 'p10' missing"):
        read_dlib_xml(path, Scheme("own", ("p9", "p10"), ()))


def test_read_own_keeps_a_tenth_of_the_photographs(tmp_path):
    path = tmp_path / "own.xml"
    for count, kept in ((2, 1), (14, 1), (20, 2)):
        write_xml(path, [xml_image(f"{k}.png", [(0, 0, 9, 9), (3, 0, 9, 9)], parts=2) for k in range(count)])
        training, validation = read_own({"labels": str(path)})
        assert (len(training), len(validation)) == (2 * (count - kept), 2 * kept)
        assert not set(training.files) & set(validation.files)
    (tmp_path / "s.json").write_text('{"names": ["00", "07"]}')
    with pytest.raises(KpError, match="expected every point on a face for training, found none with '07'"):
        read_own({"labels": str(path), "scheme_file": str(tmp_path / "s.json")})
    write_xml(path, [xml_image("0.png", [(0, 0, 9, 9)], parts=2)])
    with pytest.raises(KpError, match="expected at least two photographs"):
        read_own({"labels": str(path)})


def test_face_boxes_of_the_nose_hold_all_points(imm):
    everything = read_imm(imm / "imm_face_db")
    nose = read_labelled(Data(imm, sample=False), "imm", NOSE).take([5, 2])
    low, high = everything.points[[5, 2]].min(axis=1), everything.points[[5, 2]].max(axis=1)
    np.testing.assert_allclose(with_face_boxes(nose).boxes, np.hstack([low, high - low]))


def test_bad_entries_are_left_out_and_named(imm, tmp_path):
    skipped = []
    (imm / "imm_face_db" / "31-1m.asf").write_text("58")
    (imm / "imm_face_db" / "32-1m.jpg").write_bytes(b"no image")
    records = read_imm(imm / "imm_face_db", skipped)
    assert records.files[:2] == ("31-3m.jpg", "32-3m.jpg")
    assert records.entries[:2] == ("31-3m.asf", "32-3m.asf")
    assert len(records) == 6
    assert len(with_face_boxes(records)) == 6
    face = (0, 0, 9, 9)
    write_xml(
        tmp_path / "a.xml", [xml_image("a.jpg", [face]), xml_image("../b.jpg", [face]), xml_image("c.jpg", [])]
    )
    assert read_dlib_xml(tmp_path / "a.xml", IBUG68, skipped=skipped).files == ("a.jpg",)
    assert [text.split(":")[0].split("/")[-1] for text in skipped] == [
        "31-1m.asf",
        "32-1m.jpg",
        "b.jpg)",
        "a.xml, image 3 (c.jpg)",
    ]
    write_xml(tmp_path / "a.xml", [xml_image("c.jpg", [])])
    with pytest.raises(KpError, match="expected a box, found none"):
        read_dlib_xml(tmp_path / "a.xml", IBUG68, skipped=[])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("32-3m.jpg", "found a path that leaves it"),
        ("loop", "expected an image inside"),
        ("a" * 300, "File name too long"),
    ],
)
def test_names_that_lead_elsewhere(imm, tmp_path, name, expected):
    folder = imm / "imm_face_db"
    (folder / "32-3m.jpg").rename(tmp_path / "secret.jpg")
    (folder / "32-3m.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "loop").symlink_to(folder / "loop")
    write_xml(folder / "a.xml", [xml_image(name, [(0, 0, 9, 9)])])
    with pytest.raises(KpError, match=expected):
        read_dlib_xml(folder / "a.xml", IBUG68)
    with pytest.raises(KpError, match=r"32-3m.asf: expected an image inside .*, found a path that leaves it"):
        read_imm(folder)


def test_numbers_too_large_for_a_picture_are_refused(imm, tmp_path):
    write_xml(tmp_path / "a.xml", [xml_image("a.jpg", [(0, 0, 1e308, 9)])])
    with pytest.raises(KpError, match=r"expected a number width in <box>, found '1e.308', which is too large"):
        read_dlib_xml(tmp_path / "a.xml", IBUG68)
    path, _ = asf_lines(imm)
    path.write_text(path.read_text().replace("0 \t4 \t0.", "0 \t4 \t1000.", 1))
    with pytest.raises(KpError, match="expected finite x and y near the photograph, found 1000"):
        read_imm(imm / "imm_face_db")


def test_a_large_xml_takes_little_memory(tmp_path):
    write_xml(tmp_path / "large.xml", [xml_image(f"{k}.jpg", [(30, 20, 60, 64)]) for k in range(400)])
    tracemalloc.start()
    try:
        records = read_dlib_xml(tmp_path / "large.xml", IBUG68)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records) == 400
    assert peak < 3 * (tmp_path / "large.xml").stat().st_size, "a tree of all entries takes twenty times the file"
