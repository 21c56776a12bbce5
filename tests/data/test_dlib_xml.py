"""dlib's XML to samples and back."""

import re
import tracemalloc

import numpy as np
import pytest
from helpers import write_xml, xml_image

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.data.dlib_xml import part_names, read_dlib_xml, write_dlib_xml

FACE = (0, 0, 9, 9)
SIXTY_EIGHT = xml_image("a.jpg", [FACE])


def test_boxes_points_and_order(tmp_path):
    images = [xml_image("a/b.jpg", [(5, 6, 70, 80), (1, 2, 30, 40)]), xml_image("c.png", [(-3, 0, 10, 10)])]
    write_xml(tmp_path / "labels.xml", images)
    samples = read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    assert samples.files == ("a/b.jpg", "a/b.jpg", "c.png")
    assert samples.boxes.tolist() == [[5, 6, 70, 80], [1, 2, 30, 40], [-3, 0, 10, 10]]
    assert samples.labels[1, 67].tolist() == [1 + 67, 2 + 2 * 67]
    assert samples.entries[2] == "labels.xml, image 2 (c.png)"


def test_parts_in_any_order(tmp_path):
    parts = [f"<part name='{k:02d}' x='{k}' y='0'/>" for k in reversed(range(68))]
    face = f"<image file='a.jpg'><box top='0' left='0' width='9' height='9'>{''.join(parts)}</box></image>"
    write_xml(tmp_path / "labels.xml", [face])
    samples = read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    assert samples.labels[0, :, 0].tolist() == list(range(68))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (xml_image("a.jpg", []), "the entry has no box"),
        (xml_image("a.jpg", [FACE], 67), "a box needs the 68 parts of ibug68: part '67' is missing"),
        (SIXTY_EIGHT.replace("'67'", "'66'"), "part '66' occurs twice in a box"),
        (SIXTY_EIGHT.replace("'67'", "'68'"), "part '67' is missing"),
        (xml_image("a.jpg", [FACE], 69), "the 68 parts of ibug68: it has parts of other names"),
        (xml_image("a.jpg", [(0, 0, 0, 9)]), "positive width and height, found 0 × 9"),
        (xml_image("a.jpg", [(0, 0, 9, -9)]), "positive width and height, found 9 × -9"),
        (xml_image("a.jpg", [(0.2, 0.3, 0.4, 0.5)]), "a box of 0.4 × 0.5 pixels is too small"),
        (SIXTY_EIGHT.replace("x='67'", "x='six'"), "a number x in <part>, found 'six'"),
        (SIXTY_EIGHT.replace("left='0'", "left='inf'"), "a number left in <box>"),
        (xml_image("../../x.jpg", [FACE]), "found a path that leaves it"),
        (xml_image("/etc/passwd", [FACE]), "found a path that leaves it"),
        (SIXTY_EIGHT.replace("x='67'", "x='1e308'"), "found '1e308', which is too large"),
        (xml_image("", [FACE]), "the entry names no image"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, image, expected):
    write_xml(tmp_path / "labels.xml", [xml_image("good.jpg", [FACE]), image])
    with pytest.raises(KpError) as caught:
        read_dlib_xml(tmp_path / "labels.xml", IBUG68).checked()
    assert "labels.xml, image 2" in str(caught.value)
    assert expected in str(caught.value)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.jpg").touch()
    (tmp_path / "inside" / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    write_xml(tmp_path / "inside" / "labels.xml", [xml_image("a.jpg", [FACE])])
    with pytest.raises(KpError, match="leaves it"):
        read_dlib_xml(tmp_path / "inside" / "labels.xml", IBUG68)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<dataset><images>", "not valid XML: no element found: line 1"),
        ("<dataset><images/></dataset>", "there are no <image> entries in <dataset><images>"),
        ("<a>" * 60 + "</a>" * 60, "nested more than 50 levels deep"),
        ("<!DOCTYPE d [<!ENTITY e 'x'>]><dataset><images>&e;</images></dataset>", "without entities"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, expected):
    (tmp_path / "labels.xml").write_text(text)
    with pytest.raises(KpError) as caught:
        read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    assert expected in str(caught.value)


def test_names_and_bytes_of_other_tools(tmp_path):
    (tmp_path / "Jörg.jpg").touch()
    head = "<?xml version='1.0' encoding='ISO-8859-1'?>"
    text = f"<dataset><images>{xml_image('Jörg.jpg', [FACE])}</images></dataset>"
    for content in (f"{head}{text}".encode(), f"{head}{text}".encode("latin-1"), text.encode()):
        (tmp_path / "labels.xml").write_bytes(content)
        assert read_dlib_xml(tmp_path / "labels.xml", IBUG68).files == ("Jörg.jpg",)
    for start in ("", "<?xml version='1.0' encoding='UTF-8'?>\n"):
        (tmp_path / "labels.xml").write_bytes(f"{start}\n{text}".encode("latin-1"))
        with pytest.raises(KpError, match=rf"line {2 + bool(start)} is not in UTF-8: state the encoding, such as ISO"):
            read_dlib_xml(tmp_path / "labels.xml", IBUG68)


def test_twenty_problems_are_named_and_all_are_counted(tmp_path):
    write_xml(tmp_path / "labels.xml", [xml_image(f"{k}.jpg", []) for k in range(25)])
    with pytest.raises(KpError) as caught:
        read_dlib_xml(tmp_path / "labels.xml", IBUG68)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[0].startswith("25 entries of ")
    assert lines[-1] == "  … and 5 more"


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
        samples = read_dlib_xml(path, Scheme("own", ("p9", "p10"), ()), partial=True)
        assert samples.files == ("a.png", "a.png")
        assert samples.boxes.tolist() == [[1, 2, 30, 40]] * 2
        nothing = [np.nan, np.nan]
        np.testing.assert_array_equal(samples.labels, [[[7, 8], [5, 6]], [[-3, 4], nothing]])
        write_dlib_xml(path, samples)
    with pytest.raises(KpError, match=r"image 1 \(a.png\): a box has no part of own; mark it with ignore='1'"):
        read_dlib_xml(path, Scheme("own", ("p1",), ()), partial=True)
    with pytest.raises(KpError, match=r"part 'p10' is missing"):
        read_dlib_xml(path, Scheme("own", ("p9", "p10"), ()))


def test_bad_entries_are_left_out_and_named(tmp_path):
    path = tmp_path / "a.xml"
    write_xml(path, [xml_image("a.jpg", [FACE]), xml_image("../b.jpg", [FACE]), xml_image("c.jpg", [])])
    samples = read_dlib_xml(path, IBUG68)
    assert samples.files == ("a.jpg",)
    assert samples.labels.shape == (1, 68, 2)
    assert [problem.split(":")[0] for problem in samples.problems] == [
        "a.xml, image 2 (../b.jpg)",
        "a.xml, image 3 (c.jpg)",
    ]


def test_a_file_without_a_usable_entry_is_refused(tmp_path):
    path = tmp_path / "a.xml"
    write_xml(path, [xml_image("c.jpg", [])])
    with pytest.raises(KpError, match=r"^a.xml, image 1 \(c.jpg\): the entry has no box"):
        read_dlib_xml(path, IBUG68)
    for image in ("<image file='c.jpg'/>", SIXTY_EIGHT.replace("<box", "<box ignore='True'")):
        write_xml(path, [image])
        with pytest.raises(KpError, match="there are no boxes, or all of them have ignore='1'"):
            read_dlib_xml(path, IBUG68, partial=True)
    with pytest.raises(KpError, match=r"none\.xml: no such file"):
        read_dlib_xml(tmp_path / "none.xml", IBUG68)


def test_the_names_of_no_parts_or_far_too_many_are_refused(tmp_path):
    write_xml(tmp_path / "a.xml", [xml_image("c.jpg", [FACE], parts=1001)])
    with pytest.raises(KpError, match="its points have 1,001 different names; 1,000 are read at most"):
        part_names(tmp_path / "a.xml")
    write_xml(tmp_path / "a.xml", [xml_image("c.jpg", [FACE], parts=0)])
    with pytest.raises(KpError, match="none of its boxes has parts"):
        part_names(tmp_path / "a.xml")


def test_photographs_without_a_face_are_written_first(tmp_path):
    path = tmp_path / "a.xml"
    write_xml(path, [xml_image("b.jpg", [FACE])])
    samples = read_dlib_xml(path, IBUG68)
    write_dlib_xml(path, samples, ["z.jpg", "b.jpg", "a.jpg"])
    assert re.findall('image file="(.*?)"', path.read_text()) == ["z.jpg", "b.jpg", "a.jpg"]
    again = read_dlib_xml(path, IBUG68, partial=True)
    assert again.files == ("b.jpg",)
    np.testing.assert_array_equal(again.labels, samples.labels)


def test_a_large_xml_takes_little_memory(tmp_path):
    write_xml(tmp_path / "large.xml", [xml_image(f"{k}.jpg", [(30, 20, 60, 64)]) for k in range(100)])
    tracemalloc.start()
    try:
        samples = read_dlib_xml(tmp_path / "large.xml", IBUG68)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(samples) == 100
    assert peak < 3 * (tmp_path / "large.xml").stat().st_size, "a tree of all entries takes twenty times the file"
