"""300-W's .pts files."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.files import write_files
from kp_tf.data.formats import pts


def write(path, points):
    rows = "".join(f"{x:.6f} {y:.6f}\n" for x, y in points)
    path.write_text(f"version: 1\nn_points:  {len(points)}\n{{\n{rows}}}\n")


def test_files_as_300w_has_them(tmp_path):
    for name in ("a.jpg", "sub/b.PNG", "sub/b_1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (80, 60)).save(tmp_path / name)
    write(tmp_path / "a_1.pts", [(11, 21), (31, 41)])
    write(tmp_path / "a_2.pts", [(12, 22), (32, 42)])
    write(tmp_path / "sub" / "b.pts", [(13, 23), (33, 43)])
    write(tmp_path / "sub" / "b_1.pts", [(14, 24), (34, 44.25)])
    samples = pts.read(tmp_path).checked()
    assert samples.files == ("a.jpg", "a.jpg", "sub/b.PNG", "sub/b_1.jpg")
    assert samples.scheme.names == ("00", "01")
    assert samples.labels[:, 0].tolist() == [[10, 20], [11, 21], [12, 22], [13, 23]]
    assert samples.boxes[3].tolist() == [13, 23, 20, 20.25], "around the points"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected lines of x and y between { and }"),
        ("n_points: 1\n{\n1 2\n", "expected lines of x and y between { and }"),
        ("version: 1\n{\n1 2\n}", "n_points is missing, and there are 1 lines"),
        ("n_points: 3\n{\n1 2\n}", "n_points is 3, and there are 1 lines"),
        ("n_points: 1\n{\n1 2 3\n}", "expected two numbers x and y in each line"),
        ("n_points: 1\n{\n1 nan\n}", "expected a number y, found 'nan'"),
        ("n_points: 1\n{\n1 2\n}", "it has 1 points; most files of the folder have 2"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(tmp_path, text, problem):
    for name in ("a", "b", "bad"):
        Image.new("L", (80, 60)).save(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name}.pts", [(11, 21), (31, 41)])
    (tmp_path / "bad.pts").write_text(text)
    samples = pts.read(tmp_path)
    assert samples.files == ("a.jpg", "b.jpg")
    (found,) = samples.problems
    assert found.startswith("bad.pts: ")
    assert problem in found


def test_a_file_needs_one_photograph(tmp_path):
    write(tmp_path / "a.pts", [(11, 21)])
    with pytest.raises(KpError, match=r"^a\.pts: there is no photograph of this name beside it"):
        pts.read(tmp_path)
    Image.new("L", (80, 60)).save(tmp_path / "a", "JPEG")
    assert pts.read(tmp_path).files == ("a",)
    for name in ("a.jpg", "a.png"):
        Image.new("L", (80, 60)).save(tmp_path / name)
    with pytest.raises(KpError, match=r"^a\.pts: it may belong to a\.jpg or a\.png"):
        pts.read(tmp_path)


def test_what_is_written_reads_back(labels):
    whole = replace(labels, points=np.nan_to_num(labels.labels, nan=7.125))
    contents = pts.render(labels.root, whole)
    assert sorted(path.relative_to(labels.root).as_posix() for path in contents) == ["a_1.pts", "a_2.pts", "sub/b.pts"]
    assert contents[labels.root / "a_1.pts"].startswith(b"version: 1\nn_points: 3\n{\n11.000 21.000\n31.250 41.500\n")
    write_files(contents)
    again = pts.read(labels.root).checked()
    assert again.files == labels.files
    np.testing.assert_array_equal(again.labels, whole.labels)
    assert pts.recognizes(labels.root)


def test_a_face_that_lacks_a_point_or_shares_a_name_is_refused(labels):
    with pytest.raises(KpError, match=r"1: a \.pts file needs every point of the face, but point right eye is missing"):
        pts.render(labels.root, labels)
    whole = replace(labels, points=np.nan_to_num(labels.labels), files=("a.png", "a.jpg", "b.png"))
    with pytest.raises(KpError, match="2: another photograph has the same name a without its suffix"):
        pts.render(labels.root, whole)
