"""Samples: selection, problems, upright pixels, and names that leave the folder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import NOSE
from kp_tf.data.samples import Samples, check_inside, points_to_stored, points_to_upright


def samples_of(root, files, problems=()):
    boxes = np.array([(k, 2, 30, 40) for k in range(len(files))], float)
    points = np.array([[(k + 5, 6)] for k in range(len(files))], float)
    return Samples(Path(root), files, boxes, points, NOSE, tuple(f"entry {file}" for file in files), problems)


def test_take_keeps_everything_of_a_face_together():
    samples = samples_of("x", ("a.jpg", "b.jpg", "c.jpg"), problems=("bad",)).take([2, 0])
    assert samples.files == ("c.jpg", "a.jpg")
    assert samples.entries == ("entry c.jpg", "entry a.jpg")
    assert samples.boxes[:, 0].tolist() == [2, 0]
    assert samples.labels[:, 0, 0].tolist() == [7, 5]
    assert samples.problems == ("bad",)


def test_faces_of_another_folder_are_joined_with_names_that_lead_there(tmp_path):
    one, other = samples_of(tmp_path / "a", ("1.jpg",), ("bad",)), samples_of(tmp_path / "b", ("1.jpg", "2.jpg"))
    both = one.joined(other).joined(one)
    assert (both.root, both.problems) == (one.root, ("bad", "bad"))
    expected = [tmp_path / name for name in ("a/1.jpg", "b/1.jpg", "b/2.jpg", "a/1.jpg")]
    assert [both.root / file for file in both.files] == expected
    assert both.files[3] == "1.jpg", "of the same folder"
    assert both.labels[:, 0, 0].tolist() == [5, 5, 6, 5]
    assert both.boxes[:, 0].tolist() == [0, 0, 1, 0]
    assert both.entries == ("entry 1.jpg", "entry 1.jpg", "entry 2.jpg", "entry 1.jpg")


def test_samples_without_labels_say_so():
    samples = Samples(Path("x"), ("a.jpg",), np.zeros((1, 4)), None, NOSE, ("a",))
    assert samples.take([0]).points is None
    assert samples.upright(samples.orientations()).points is None
    with pytest.raises(ValueError, match="these samples have no labels"):
        _ = samples.labels


def test_checked_names_the_problems():
    samples = samples_of("x", ("a.jpg",))
    assert samples.checked() is samples
    with pytest.raises(KpError, match=r"^b\.jpg is bad$"):
        samples_of("x", ("a.jpg",), ("b.jpg is bad",)).checked()


def test_upright_turns_boxes_and_points_of_the_photographs_that_need_it(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # upright after a quarter turn clockwise
    Image.new("RGB", (100, 60)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGB", (100, 60)).save(tmp_path / "plain.jpg")
    samples = samples_of(tmp_path, ("plain.jpg", "turned.jpg", "missing.jpg", "turned.jpg"))
    orientations = samples.orientations()
    assert [orientation.size for orientation in orientations] == [(100, 60), (60, 100), (0, 0), (60, 100)]
    upright = samples.upright(orientations)
    # clockwise: (x, y) of 100 × 60 pixels comes to (59 - y, x); the box's corner is then its former lower left
    assert upright.labels[:, 0].tolist() == [[5, 6], [53, 6], [7, 6], [53, 8]]
    assert upright.boxes.tolist() == [[0, 2, 30, 40], [18, 1, 40, 30], [2, 2, 30, 40], [18, 3, 40, 30]]
    assert samples.boxes[1].tolist() == [1, 2, 30, 40], "the samples themselves stay as they are"
    np.testing.assert_array_equal(points_to_stored(upright.labels, orientations), samples.labels)
    np.testing.assert_array_equal(points_to_upright(samples.labels, orientations), upright.labels)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("../x.jpg", "found a path that leaves it"),
        ("a/../../x.jpg", "found a path that leaves it"),
        ("/etc/passwd", "found a path that leaves it"),
        ("link.jpg", "found a path that leaves it"),
        ("linked/secret.jpg", "found a path that leaves it"),
        ("loop", "cannot read .*loop: (its links form a circle|Too many levels of symbolic links)"),
        ("a" * 300, "File name too long"),
        ("", "names no image"),
        ("a\0.jpg", "names no image"),
        ("\ud800.jpg", "names no image: its name has a character that no file name has"),
    ],
)
def test_names_that_leave_the_folder_are_refused(tmp_path, file, expected):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.jpg").touch()
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "linked").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(KpError, match=expected):
        check_inside(root, file)
    check_inside(root, "a/b.jpg")
