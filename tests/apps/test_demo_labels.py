import re
from xml.etree import ElementTree

import numpy as np
import pytest

from kp_tf.apps.demo.labels import NEW_FILE, SourcedFace, read_labels, write_labels
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.keypoints import Scheme
from kp_tf.data.dlib_xml import read_dlib_xml

SCHEME = Scheme("two", ("a", "b"), groups=())
TEXT = """<?xml version='1.0' encoding='UTF-8'?>
<?xml-stylesheet type='text/xsl' href='style.xsl'?>
<dataset>
<name>mine</name>
<!-- checked by hand -->
<images>
  <image file='p1.jpg'>
    <box left='10' top='20' width='30' height='40' pose='2'>
      <label>Ann</label>
      <part name='a' x='12.5' y='22'/>
      <part name='b' x='14' y='24' occluded='1'/>
    </box>
    <box left='1' top='1' width='5' height='5' ignore='1'/>
    <box left='50' top='60' width='7' height='8'><part name='b' x='51' y='61'/></box>
  </image>
  <!-- not here today -->
  <image file='away.jpg'/><image file='./d\\p2.jpg'  ><box left='1' top='2' width='3' height='4'/></image >
</images>
</dataset>
"""


def face(box, a, b, source, todo=None):
    points = np.array([a, b], float)
    return SourcedFace(Face(np.array(box, float), points, np.full(2, np.nan), SCHEME), source, todo)


def opened(text=TEXT, path="points.xml", **photographs):
    """Labels as the page sends them back, with the photographs of some entries by number."""
    read = read_labels(text.encode() if isinstance(text, str) else text, path)
    for number, file in photographs.items():
        read["entries"][int(number[1:])]["photograph"] = file
    return read


def boxes(text, file):
    (image,) = [image for image in ElementTree.fromstring(text).iter("image") if image.get("file") == file]
    return image.findall("box")


def test_what_is_not_shown_is_saved_as_it_was():
    assert write_labels(opened(), []) == TEXT


def test_entries_and_their_faces():
    first, away, second = opened()["entries"]
    assert [first["file"], away["file"], second["file"]] == ["p1.jpg", "away.jpg", "./d\\p2.jpg"]
    assert first["boxes"] == 3
    assert first["faces"] == [
        {"source": 0, "box": [10, 20, 30, 40], "points": {"a": [12.5, 22], "b": [14, 24]}},
        {"source": 2, "box": [50, 60, 7, 8], "points": {"b": [51, 61]}},
    ]
    assert away["faces"] == []
    assert second["text"].endswith("</image >")


def test_a_shown_entry_keeps_its_labels_ignored_boxes_and_unchanged_numbers():
    shown = [face([10, 20, 30, 40], [12.5, 22], [15.2, 24], 0), face([0, 0, 9, 9], [1, 2], [3, 4], None)]
    saved = write_labels(opened(_0="p1.jpg"), [("p1.jpg", shown)])
    kept, ignored, new = boxes(saved, "p1.jpg")  # the third box of the entry was removed
    assert kept.get("pose") == "2"
    assert kept.findtext("label") == "Ann"
    assert [part.attrib for part in kept.iter("part")] == [
        {"name": "a", "x": "12.5", "y": "22"},
        {"name": "b", "x": "15", "y": "24", "occluded": "1"},
    ]
    assert ignored.get("ignore") == "1"
    assert new.attrib == {"left": "0", "top": "0", "width": "9", "height": "9"}
    assert saved.split("<image file")[0] == TEXT.split("<image file")[0]
    assert saved.split("</image>", 1)[1] == TEXT.split("</image>", 1)[1]


def test_a_point_that_is_missing_is_left_out():
    saved = write_labels(opened(_0="p1.jpg"), [("p1.jpg", [face([10, 20, 30, 40], [np.nan] * 2, [14, 24], 0)])])
    assert [part.get("name") for part in boxes(saved, "p1.jpg")[0].iter("part")] == ["b"]


def test_a_photograph_without_an_entry_comes_last():
    saved = write_labels(opened(), [("new.jpg", [face([1, 2, 3, 4], [5, 6], [7, 8], None)]), ("empty.jpg", [])])
    files = re.findall("<image file=['\"](.*?)['\"]", saved)
    assert files == ["p1.jpg", "away.jpg", "./d\\p2.jpg", "new.jpg", "empty.jpg"]


def test_entries_of_one_photograph_share_its_faces():
    image = "<image file='p.jpg'><box left='{}' top='1' width='3' height='4'/></image>"
    text = f"<dataset><images>{image.format(1)}{image.format(2)}</images></dataset>"
    moved = [face([2, 1, 3, 4], [5, 6], [7, 8], 1), face([9, 9, 9, 9], [5, 6], [7, 8], None)]
    saved = write_labels(opened(text, _0="p.jpg", _1="p.jpg"), [("p.jpg", moved)])
    first, second = ElementTree.fromstring(saved).iter("image")
    assert len(first) == 0
    assert [box.get("left") for box in second] == ["2", "9"]


def test_a_source_that_is_not_there_is_refused():
    with pytest.raises(KpError, match=r"p1.jpg has no boxes \[7\]"):
        write_labels(opened(_0="p1.jpg"), [("p1.jpg", [face([1, 2, 3, 4], [5, 6], [7, 8], 7)])])


def test_a_new_file_is_read_back(tmp_path):
    path = tmp_path / "points.xml"
    path.write_text(write_labels(NEW_FILE, [("ä & b.jpg", [face([1, 2, 3, 4], [5.4, 6], [7, 8.6], None)])]))
    samples = read_dlib_xml(path, SCHEME)
    assert samples.files == ("ä & b.jpg",)
    np.testing.assert_array_equal(samples.boxes, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(samples.points, [[[5, 6], [7, 9]]])


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-8", "UTF-16", "windows-1252"])
def test_the_declared_encoding_is_read_and_utf_8_is_saved(encoding):
    text = TEXT.replace("UTF-8", encoding).replace("p1.jpg", "Jörg.jpg")
    read = opened(text.encode(encoding))
    assert read["entries"][0]["file"] == "Jörg.jpg"
    assert write_labels(read, []) == TEXT.replace("p1.jpg", "Jörg.jpg")


def test_names_of_imglab_are_those_of_their_bytes():
    text = TEXT.replace("UTF-8", "ISO-8859-1").replace("p1.jpg", "Jörg.jpg")  # imglab's head, over bytes of UTF-8
    read = opened(text.encode())
    assert read["entries"][0]["names"] == ["Jörg.jpg"]
    assert write_labels(read, []) == TEXT.replace("p1.jpg", "Jörg.jpg")


def test_the_names_that_an_entry_may_stand_for():
    text = TEXT.replace("p1.jpg", "JÃ¶rg.jpg").replace("away.jpg", "Jörg.jpg")
    for path, below in (("points.xml", ""), ("more/points.xml", "more/")):
        first, away, second = (entry["names"] for entry in opened(text, path)["entries"])
        assert first == [f"{below}JÃ¶rg.jpg", f"{below}Jörg.jpg"]
        assert away == [f"{below}Jörg.jpg"], "not one with a byte that JSON cannot hold"
        assert second[-1] == "more/d/p2.jpg" if below else "./d/p2.jpg"


def test_names_in_a_folder_below_are_relative_to_the_opened_folder():
    read = opened(path="more/points.xml")
    assert [entry["file"] for entry in read["entries"]] == ["more/p1.jpg", "more/away.jpg", "more/d/p2.jpg"]
    assert boxes(write_labels(read, []), "more/p1.jpg")[0].findtext("label") == "Ann"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("x='12.5'", "x='abc'", "part 'a': expected a number x, found 'abc'"),
        ("x='12.5'", "x='Infinity'", "part 'a': expected a number x, found 'Infinity'"),
        ("x='12.5'", "x='1e7'", "part 'a': expected a number x, found '1e7', which is too large"),
        ("x='12.5'", "x=''", "part 'a': expected a number x, found ''"),
        ("x='12.5' ", "", "part 'a': expected a number x, found ''"),
        ("left='10' ", "", "box: expected a number left, found ''"),
        ("width='30'", "width='0'", "a box needs positive width and height, found 0 × 40"),
        ("height='40'", "height='nan'", "box: expected a number height, found 'nan'"),
        ("name='b' x='14'", "name='a' x='14'", "part 'a' occurs twice in a box"),
    ],
)
def test_numbers_are_checked_as_the_reader_does(tmp_path, old, new, said):
    text = TEXT.replace(old, new)
    first, *others = opened(text)["entries"]
    assert (first["problem"], first["faces"]) == (said, [])
    assert not any("problem" in entry for entry in others)
    assert write_labels(opened(text), []) == text
    (tmp_path / "points.xml").write_text(re.sub(r"<image file='(away|\./d).*", "", text))
    with pytest.raises(KpError, match=r"expected a number|positive width|occurs twice"):
        read_dlib_xml(tmp_path / "points.xml", SCHEME, partial=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<dataset><images>", "not valid XML"),
        ("<annotation><filename>p2.jpg</filename></annotation>", "there are no <image> entries"),
        ("<!DOCTYPE d [<!ENTITY e 'x'>]><d><images><image file='&e;'/></images></d>", "declares entities"),
        ("<a>" * 60, "nested more than 50 levels deep"),
        ("<?xml version='1.0' encoding='strange'?><d/>", "not in the encoding strange"),
        (b"<d><images><image file='J\xf6rg.jpg'/></images></d>", "not in the encoding utf-8"),
    ],
)
def test_files_that_are_not_labels(text, said):
    with pytest.raises(KpError, match=said):
        opened(text)


def test_a_box_with_points_to_mark_is_ignored_by_training_until_it_is_finished(tmp_path):
    path = tmp_path / "points.xml"
    unfinished = face([1, 2, 30, 40], [5, 6], [np.nan] * 2, None, ["b"])
    path.write_text(text := write_labels(NEW_FILE, [("p.jpg", [unfinished])]))
    with pytest.raises(KpError, match="all of them have ignore='1'"):
        read_dlib_xml(path, SCHEME, partial=True)
    (entry,) = opened(text)["entries"]
    assert entry["faces"] == [{"source": 0, "box": [1, 2, 30, 40], "points": {"a": [5, 6]}, "todo": ["b"]}]
    path.write_text(write_labels(opened(text, _0="p.jpg"), [("p.jpg", [face([1, 2, 30, 40], [5, 6], [7, 8], 0, [])])]))
    assert "todo" not in path.read_text()
    np.testing.assert_array_equal(read_dlib_xml(path, SCHEME).points, [[[5, 6], [7, 8]]])


@pytest.mark.parametrize("todo", ["", "7", "{", "[" * 100_000])
def test_a_note_of_what_is_to_be_marked_that_cannot_be_read_leaves_the_box_ignored(todo):
    box = f"<box left='1' top='1' width='9' height='9' ignore='1' todo='{todo}'/>"
    (entry,) = opened(f"<dataset><images><image file='a.jpg'>{box}</image></images></dataset>")["entries"]
    assert (entry["boxes"], entry["faces"]) == (1, [])
