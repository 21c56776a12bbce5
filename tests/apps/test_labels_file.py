import errno
import os

import numpy as np
import pytest

from kp_tf.apps.demo.labels import SourcedFace
from kp_tf.apps.demo.labels_file import LabelsFile
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.keypoints import Scheme
from kp_tf.data.dlib_xml import part_names, read_dlib_xml

SCHEME = Scheme("two", ("a", "b"), groups=())
BOX = "<box left='1' top='2' width='30' height='40' {}><part name='a' x='5' y='6'/>{}</box>"
B = "<part name='b' x='7' y='8'/>"


@pytest.fixture
def path(tmp_path):
    for name in ("p.jpg", "q.jpg"):
        (tmp_path / name).touch()
    return tmp_path / "points.xml"


def write(path, *entries):
    images = "".join(f"<image file='{file}'>{boxes}</image>" for file, boxes in entries)
    path.write_text(f"<dataset><!-- mine --><images>{images}</images></dataset>")


def opened(path):
    return LabelsFile(path, ["p.jpg", "q.jpg"])


def face(a, b, source=None, todo=()):
    points = np.array([a, b], float)
    return SourcedFace(Face(np.array([1, 2, 30, 40.0]), points, np.full(2, np.nan), SCHEME), source, todo)


def test_there_is_no_file_until_the_first_mark(path):
    labels = opened(path)
    assert labels.state("p.jpg") == "new"
    assert not path.exists()
    labels.replace("p.jpg", [face([5, 6], [np.nan] * 2, todo=["b"])])
    assert opened(path).state("p.jpg") == labels.state("p.jpg") == "begun"
    labels.replace("p.jpg", [face([5, 6], [7, 8])])
    assert opened(path).state("p.jpg") == labels.state("p.jpg") == "done"
    assert opened(path).finished() == labels.finished() == ["p.jpg"]
    assert read_dlib_xml(path, SCHEME).files == ("p.jpg",)


def test_a_change_that_is_sent_twice_is_made_once(path):
    write(path, ("p.jpg", BOX.format("ignore='1'", "") + BOX.format("pose='2'", B)))
    labels = opened(path)
    assert [kept["source"] for kept in labels.faces("p.jpg")] == [1]
    for _ in range(2):
        labels.replace("p.jpg", [face([9, 9], [7, 8], 1), face([1, 1], [2, 2])])
    text = path.read_text()
    assert text.count("<box") == 3
    assert "<!-- mine -->" in text
    assert 'pose="2"' in text
    labels.replace("p.jpg", [face([1, 1], [2, 2])])
    labels.replace("p.jpg", [face([9, 9], [7, 8], 1)])  # undone
    assert path.read_text().count("<box") == 2
    assert 'pose="2"' in path.read_text()


def test_a_photograph_without_marks_was_not_seen_unless_there_is_nothing_to_mark(path):
    labels = opened(path)
    labels.replace("p.jpg", [face([5, 6], [7, 8])])
    labels.replace("p.jpg", [], nothing=False)  # the first mark was taken back
    assert (labels.state("p.jpg"), path.exists()) == ("new", False)
    labels.replace("p.jpg", [], nothing=True)
    assert opened(path).state("p.jpg") == labels.state("p.jpg") == "none"
    labels.replace("q.jpg", [face([5, 6], [7, 8])])
    labels.replace("q.jpg", [], nothing=False)
    assert opened(path).state("q.jpg") == "new"


def test_other_photographs_and_entries_stay_as_they_are(path):
    other = "<box left='1' top='2' width='3' height='4' my='own'><label>x</label></box>"
    write(path, ("away.jpg", other), ("q.jpg", BOX.format("", "")), ("../up.jpg", other))
    before = path.read_text()
    labels = opened(path)
    labels.replace("p.jpg", [])
    assert (labels.state("p.jpg"), labels.state("q.jpg")) == ("none", "done")
    assert path.read_text().replace('\n    <image file="p.jpg" />', "") == before


def test_an_entry_that_cannot_be_used_is_not_replaced(path):
    write(path, ("p.jpg", BOX.format("", "").replace("'5'", "'abc'")))
    labels, before = opened(path), path.read_text()
    assert labels.state("p.jpg") == "problem"
    with pytest.raises(KpError, match=r"cannot use the labels of p.jpg: part 'a': expected a number x"):
        labels.replace("p.jpg", [])
    assert path.read_text() == before


def test_what_another_program_wrote_is_not_overwritten(path):
    labels = opened(path)
    labels.replace("p.jpg", [face([5, 6], [7, 8])])
    write(path, ("q.jpg", BOX.format("", "")))
    before = path.read_text()
    with pytest.raises(KpError, match=r"points.xml was changed by another program. Reload the page"):
        labels.replace("p.jpg", [])
    assert path.read_text() == before
    path.unlink()
    with pytest.raises(KpError, match="changed by another program"):
        labels.replace("p.jpg", [])


def test_a_full_disk_leaves_what_was_there(path, monkeypatch):
    labels = opened(path)
    labels.replace("p.jpg", [face([5, 6], [7, 8])])
    before = path.read_text()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # where a delayed write fails
    with pytest.raises(KpError, match=r"cannot write .*points.xml: No space left on device"):
        labels.replace("p.jpg", [face([1, 1], [2, 2])])
    monkeypatch.undo()
    assert path.read_text() == before
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []
    assert labels.faces("p.jpg")[0]["points"]["a"] == [5, 6]
    labels.replace("p.jpg", [face([1, 1], [2, 2])])
    assert opened(path).faces("p.jpg")[0]["points"]["a"] == [1, 1]


def test_points_change_their_names_with_their_marks(path):
    write(path, ("p.jpg", BOX.format("", B)), ("q.jpg", BOX.format("ignore='1'", B)), ("away.jpg", BOX.format("", B)))
    labels = opened(path)
    labels.change_points({"a": "b", "b": "a"}, ["a", "b"], [])
    assert labels.faces("p.jpg")[0]["points"] == {"b": [5, 6], "a": [7, 8]}
    assert path.read_text().count('name="b" x="5"') == 3
    with pytest.raises(KpError, match="two points of one name"):
        labels.change_points({"a": "b"}, ["b"], [])
    assert part_names(path) == ("a", "b")


def test_new_points_are_to_be_marked_in_every_box_until_they_are_removed(path):
    write(path, ("p.jpg", BOX.format("", B)), ("q.jpg", BOX.format("ignore='1'", B)))
    labels, before = opened(path), path.read_text()
    labels.change_points({}, ["a", "b", "c"], ["c"])
    assert labels.faces("p.jpg")[0]["todo"] == ["c"]
    assert labels.faces("q.jpg") == []
    labels.change_points({}, ["a", "b"], [])
    assert labels.state("p.jpg") == "done"
    assert path.read_text().count("ignore") == before.count("ignore") == 1
