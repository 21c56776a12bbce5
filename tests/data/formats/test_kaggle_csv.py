"""The CSV of Kaggle's Facial Keypoints Detection."""

import csv

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import KAGGLE15
from kp_tf.data.formats import kaggle_csv
from kp_tf.data.samples import Samples

PIXELS = np.random.default_rng(0).integers(0, 256, (96, 96))
COORDINATES = [f"{20 + 1.3570123457 * k:.10f}".rstrip("0").rstrip(".") for k in range(30)]


def write(path, *rows, columns=(*kaggle_csv.COLUMNS, "Image")):
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


IMAGE = " ".join(map(str, PIXELS.ravel()))


def row(coordinates=COORDINATES, image=IMAGE):
    return [*coordinates, image]


def test_rows_as_kaggle_has_them(tmp_path):
    path = write(tmp_path / "training.csv", row(), row([*COORDINATES[:4], *[""] * 26]))
    assert kaggle_csv.recognizes(path)
    samples, pictures = kaggle_csv.unpack(path, tmp_path / "out")
    assert samples.checked().files == pictures == ("pictures/00001.png", "pictures/00002.png")
    assert samples.scheme is KAGGLE15
    np.testing.assert_array_equal(samples.labels[0].ravel(), np.array(COORDINATES, float))
    assert np.isnan(samples.labels[1]).any(axis=1).tolist() == [False] * 2 + [True] * 13
    assert samples.boxes.tolist() == [[0, 0, 96, 96]] * 2
    np.testing.assert_array_equal(Image.open(tmp_path / "out" / pictures[1]), PIXELS)
    assert kaggle_csv.render(path, samples)[path].decode() == path.read_text()


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (row(["x", *COORDINATES[1:]]), "expected a number left_eye_center_x, found 'x'"),
        (row(["", *COORDINATES[1:]]), "point left_eye_center has only one of x and y"),
        (row([""] * 30), "a face has no points"),
        (row(image="1 2 3"), "expected 96 × 96 pixels from 0 to 255 in Image, found '1 2 3'"),
        (row(image=" ".join(["256"] * 96**2)), "expected 96 × 96 pixels"),
        (row(image=" ".join(["1.5"] * 96**2)), "expected 96 × 96 pixels"),
        (COORDINATES, "expected 96 × 96 pixels"),
    ],
)
def test_a_row_that_cannot_be_used_is_a_problem(tmp_path, bad, problem):
    samples, _ = kaggle_csv.unpack(write(tmp_path / "a.csv", bad, row()), tmp_path)
    assert samples.files == ("pictures/00002.png",)
    (found,) = samples.problems
    assert found.startswith("a.csv, row 1: ")
    assert problem in found


def test_a_file_that_cannot_be_used_is_refused(tmp_path):
    without = write(tmp_path / "test.csv", ["1", "2"], columns=("ImageId", "Image"))
    assert not kaggle_csv.recognizes(without)
    for path, message in (
        (without, "expected Kaggle's columns, and left_eye_center_x is missing"),
        (write(tmp_path / "none.csv"), "there are no rows"),
        (write(tmp_path / "bad.csv", row(image="1")), "bad.csv, row 1: expected 96"),
        (write(tmp_path / "long.csv", row(image="1" * 200_000)), "not a CSV of text: field larger than"),
    ):
        with pytest.raises(KpError, match=message):
            kaggle_csv.unpack(path, tmp_path)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(KpError, match="not a CSV of text"):
        kaggle_csv.unpack(tmp_path / "bytes.csv", tmp_path)
    with pytest.raises(KpError, match=r"holds its pictures itself; `kp-tf convert .* --to coco` unpacks them"):
        kaggle_csv.read(without)


def test_faces_are_cut_out_and_points_move_along(tmp_path):
    wide = np.zeros((200, 300), np.uint8)
    wide[:, 196:] = 200
    Image.fromarray(wide).save(tmp_path / "a.png")
    points = np.full((1, 15, 2), np.nan)
    points[0, 0] = 100.5, 6.5  # between the first two columns and between the third and fourth row of the box
    samples = Samples(tmp_path, ("a.png",), np.array([[100.0, 4, 192, 192]]), points, KAGGLE15, ("1",))
    text = kaggle_csv.render(tmp_path / "a.csv", samples)[tmp_path / "a.csv"].decode()
    (_, values) = csv.reader(text.splitlines())
    assert values[:3] == ["0", "1", ""]
    cut = np.array(values[-1].split(), int).reshape(96, 96)
    assert (cut[:, :47] == 0).all()
    assert (cut[:, 49:] == 200).all()


def test_other_points_are_refused(labels):
    with pytest.raises(KpError, match="has 15 points of its own, and 'left eye' is none of them"):
        kaggle_csv.render(labels.root / "a.csv", labels)
